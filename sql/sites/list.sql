-- sites/list: the sites that were added or changed since an instant.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse site list`
-- Reads    sites (0001)
-- Params   since_ms  Int64  rows written at or after this instant, Unix milliseconds; 0 for all
-- Returns  id, tenant, domains, name, created_at and updated_at (RFC 3339, UTC)
-- Order    id
SELECT id, tenant, domains, name, created_at, updated_at
FROM sites FINAL
WHERE updated_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
ORDER BY id
SETTINGS date_time_output_format = 'iso'
FORMAT JSONEachRow
