-- sites/list_to_clear: the removed sites whose rows are to be deleted now.
--
-- Serves   the deletion of their rows
-- Reads    sites (0001)
-- Params   delay_ms  UInt32  how long ago they were removed: by then no worker stores signals of them any more
-- Returns  id
-- Order    id
SELECT id
FROM sites FINAL
WHERE cleared_at IS NULL AND removed_at <= now64(3, 'UTC') - toIntervalMillisecond({delay_ms:UInt32})
ORDER BY id
FORMAT JSON
