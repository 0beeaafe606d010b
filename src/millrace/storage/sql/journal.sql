-- name: execution
INSERT INTO executions (team_id, id, scenario_id, version_id, event_id, kind, status, started_at_ms,
                        finished_at_ms, duration_ms, operations, transfer_bytes, cycles, error_type,
                        error_message, error_module, origin_id, summary)
VALUES (:team_id, :id, :scenario_id, :version_id, :event_id, :kind, :status, :started_at_ms,
        :finished_at_ms, :duration_ms, :operations, :transfer_bytes, :cycles, :error_type,
        :error_message, :error_module, :origin_id, :summary)
ON CONFLICT (team_id, id) DO UPDATE SET
    status = excluded.status, finished_at_ms = excluded.finished_at_ms,
    duration_ms = excluded.duration_ms, operations = excluded.operations,
    transfer_bytes = excluded.transfer_bytes, cycles = excluded.cycles,
    error_type = excluded.error_type, error_message = excluded.error_message,
    error_module = excluded.error_module, summary = excluded.summary

-- name: segment
INSERT INTO segments (team_id, execution_id, number, first_seq, last_seq, kind, body)
VALUES (:team_id, :execution_id, :number, :first_seq, :last_seq, :kind, :body)

-- name: segments
SELECT team_id, execution_id, number, first_seq, last_seq, kind, body FROM segments
WHERE team_id = :team_id AND execution_id = :execution_id AND number > :after
ORDER BY number

-- name: checkpoint
SELECT team_id, execution_id, number, first_seq, last_seq, kind, body FROM segments
WHERE team_id = :team_id AND execution_id = :execution_id AND kind = 'checkpoint'
ORDER BY number DESC
LIMIT 1

-- name: execution_of
SELECT team_id, id, scenario_id, version_id, event_id, kind, status, started_at_ms, finished_at_ms,
       duration_ms, operations, transfer_bytes, cycles, error_type, error_message, error_module,
       origin_id, summary
FROM executions WHERE team_id = :team_id AND id = :execution_id

-- name: keep_incomplete
INSERT INTO incomplete_executions (team_id, id, scenario_id, version_id, execution_id, created_at_ms,
    error_type, error_message, error_module, body, size_bytes, state, retry_at_ms, attempts,
    max_attempts, interval_seconds, expires_at_ms)
VALUES (:team_id, :id, :scenario_id, :version_id, :execution_id, :created_at_ms,
    :error_type, :error_message, :error_module, :body, :size_bytes, :state, :retry_at_ms, :attempts,
    :max_attempts, :interval_seconds, :expires_at_ms)

-- name: change_incomplete
UPDATE incomplete_executions SET
    state = :state, retry_at_ms = :retry_at_ms, attempts = coalesce(:attempts, attempts),
    error_type = coalesce(:error_type, error_type),
    error_message = coalesce(:error_message, error_message),
    error_module = coalesce(:error_module, error_module), body = coalesce(:body, body)
WHERE team_id = :team_id AND id = :id

-- name: change_scenario
UPDATE scenarios SET
    consecutive_errors = coalesce(:consecutive_errors, consecutive_errors),
    is_active = coalesce(:is_active, is_active),
    paused_reason = coalesce(:paused_reason, paused_reason)
WHERE team_id = :team_id AND id = :id

-- name: remember
INSERT INTO module_states (team_id, scenario_id, module, body)
VALUES (:team_id, :scenario_id, :module, :body)
ON CONFLICT (team_id, scenario_id, module) DO UPDATE SET body = excluded.body

-- name: forget
DELETE FROM module_states
WHERE team_id = :team_id AND scenario_id = :scenario_id AND module = :module

-- name: remembered
SELECT module, body FROM module_states WHERE team_id = :team_id AND scenario_id = :scenario_id

-- name: file_use
INSERT INTO file_uses (team_id, file_id, execution_id, size_bytes, created_at_ms)
VALUES (:team_id, :file_id, :execution_id, :size_bytes, :created_at_ms)
ON CONFLICT (team_id, file_id, execution_id) DO NOTHING
