-- name: accept
INSERT INTO events (id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
                    due_at_ms, execution_id, epoch, attempts, origin_id)
VALUES (:id, :team_id, :scenario_id, :shard, :lane, :kind, :state, :payload, :received_at_ms,
        :due_at_ms, :execution_id, :epoch, :attempts, :origin_id)

-- name: holds
SELECT 1 FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: holds @postgres
-- The lock keeps a rescuer waiting until this transaction is over, so that it reads all of the journal.
SELECT 1 FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running' FOR UPDATE

-- name: leave
DELETE FROM events WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: requeue
UPDATE events SET state = :state, due_at_ms = :due_at_ms, execution_id = :execution_id
WHERE id = :event_id AND epoch = :epoch AND state = 'running'

-- name: due
-- Nothing may overtake within a lane: any earlier event of it, in whatever state, holds the later ones.
SELECT arrival, id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
       due_at_ms, execution_id, epoch, attempts, origin_id
FROM events AS mine
WHERE state = 'waiting' AND due_at_ms <= :now_ms
  AND shard BETWEEN :first_shard AND :last_shard
  AND (lane IS NULL OR NOT EXISTS (
        SELECT 1 FROM events AS earlier
        WHERE earlier.lane = mine.lane AND earlier.arrival < mine.arrival))
ORDER BY due_at_ms, arrival
LIMIT :maximum

-- name: take
UPDATE events
SET state = 'running', epoch = :epoch, attempts = attempts + 1, execution_id = :execution_id
WHERE id = :id

-- name: next_due
SELECT min(due_at_ms) FROM events
WHERE state = 'waiting' AND shard BETWEEN :first_shard AND :last_shard

-- name: left_running
SELECT arrival, id, team_id, scenario_id, shard, lane, kind, state, payload, received_at_ms,
       due_at_ms, execution_id, epoch, attempts, origin_id
FROM events
WHERE state = 'running' AND epoch < :epoch AND shard BETWEEN :first_shard AND :last_shard
ORDER BY arrival
