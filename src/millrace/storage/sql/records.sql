-- name: record_account
-- Before the record itself is written: the totals of its data store move by the difference.
UPDATE data_stores SET
    record_count = record_count + :present - (
        SELECT count(*) FROM records
        WHERE team_id = :team_id AND data_store_id = :data_store_id AND key = :key),
    used_bytes = used_bytes + :size - coalesce((
        SELECT size FROM records
        WHERE team_id = :team_id AND data_store_id = :data_store_id AND key = :key), 0)
WHERE team_id = :team_id AND id = :data_store_id

-- name: record_put
INSERT INTO records (team_id, data_store_id, key, body, size, written_at_ms)
VALUES (:team_id, :data_store_id, :key, :body, :size, :written_at_ms)
ON CONFLICT (team_id, data_store_id, key) DO UPDATE SET
    body = excluded.body, size = excluded.size, written_at_ms = excluded.written_at_ms

-- name: record_remove
DELETE FROM records WHERE team_id = :team_id AND data_store_id = :data_store_id AND key = :key

-- name: record_get
SELECT body FROM records WHERE team_id = :team_id AND data_store_id = :data_store_id AND key = :key

-- name: record_scan
SELECT key, body FROM records
WHERE team_id = :team_id AND data_store_id = :data_store_id AND key > :after
ORDER BY key
LIMIT :maximum

-- name: record_totals
SELECT record_count, used_bytes FROM data_stores WHERE team_id = :team_id AND id = :data_store_id
