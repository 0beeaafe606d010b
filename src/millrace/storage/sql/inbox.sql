-- name: accept
-- Nothing may overtake within a lane: behind any other event of it, in whatever state, one is queued.
INSERT INTO events (id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
                    due_at_ms, execution_id, epoch, attempts, origin_id)
VALUES (:id, :team_id, :scenario_id, :shard, :lane, :kind,
        CASE WHEN :state <> 'waiting' THEN :state
             WHEN EXISTS (SELECT 1 FROM events WHERE lane = :lane) THEN 'queued'
             WHEN :due_at_ms > :received_at_ms THEN 'parked'
             ELSE 'waiting' END,
        :payload, :received_at_ms, :due_at_ms, :execution_id, :epoch, :attempts, :origin_id)

-- name: holds
SELECT 1 FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: holds @postgres
-- The lock keeps a rescuer waiting until this transaction is over, so that it reads all of the journal.
SELECT 1 FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running' FOR UPDATE

-- name: promote
-- The next of the lane; parked, because it may be due later. Runs before its predecessor leaves.
UPDATE events SET state = 'parked'
WHERE state = 'queued' AND arrival = (
    SELECT min(later.arrival) FROM events AS mine
    JOIN events AS later ON later.lane = mine.lane AND later.arrival > mine.arrival
    WHERE mine.id = :event_id)

-- name: leave
DELETE FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: requeue
UPDATE events SET state = :state, due_at_ms = :due_at_ms, execution_id = :execution_id
WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: wake
UPDATE events SET state = 'waiting' WHERE state = 'parked' AND due_at_ms <= :now_ms

-- name: next_team
SELECT team_id FROM events WHERE state = 'waiting' AND team_id > :after ORDER BY team_id LIMIT 1

-- name: next_scenario
SELECT scenario_id FROM events
WHERE state = 'waiting' AND team_id = :team_id AND scenario_id > :after
ORDER BY scenario_id LIMIT 1

-- name: due
SELECT arrival, id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
       due_at_ms, execution_id, epoch, attempts, origin_id
FROM events
WHERE state = 'waiting' AND team_id = :team_id AND scenario_id = :scenario_id
ORDER BY due_at_ms, arrival
LIMIT :maximum OFFSET :passed

-- name: take
UPDATE events
SET state = 'running', epoch = :epoch, attempts = :attempts, execution_id = :execution_id
WHERE id = :id

-- name: next_due
SELECT CASE WHEN EXISTS (SELECT 1 FROM events WHERE state = 'waiting') THEN 0
       ELSE (SELECT min(due_at_ms) FROM events WHERE state = 'parked') END

-- name: left_running
SELECT arrival, id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
       due_at_ms, execution_id, epoch, attempts, origin_id
FROM events
WHERE state = 'running' AND epoch < :epoch
ORDER BY epoch, arrival

-- name: hold_waiting
UPDATE events SET state = 'held'
WHERE state = 'waiting' AND team_id = :team_id AND scenario_id = :scenario_id

-- name: hold_parked
-- The longer list of states is that of the index.
UPDATE events SET state = 'held'
WHERE state IN ('queued', 'parked', 'held') AND state = 'parked'
  AND team_id = :team_id AND scenario_id = :scenario_id

-- name: release
UPDATE events SET state = CASE
    WHEN EXISTS (SELECT 1 FROM events AS earlier
                 WHERE earlier.lane = events.lane AND earlier.arrival < events.arrival) THEN 'queued'
    ELSE 'parked' END
WHERE state IN ('queued', 'parked', 'held') AND state = 'held'
  AND team_id = :team_id AND scenario_id = :scenario_id

-- name: inbox_counts
SELECT state, count(*) FROM events
WHERE state = 'waiting' AND team_id = :team_id AND scenario_id = :scenario_id
GROUP BY state
UNION ALL
SELECT state, count(*) FROM events
WHERE state IN ('queued', 'parked', 'held') AND team_id = :team_id AND scenario_id = :scenario_id
GROUP BY state
UNION ALL
SELECT state, count(*) FROM events
WHERE state = 'running' AND team_id = :team_id AND scenario_id = :scenario_id
GROUP BY state
