-- sites/list: the sites that were added or changed lately.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse site list`
-- Reads    sites (0001)
-- Params   age_ms  UInt64  rows written in the last so many milliseconds, by the clock of ClickHouse
-- Returns  id, tenant, domains, name, created_at and updated_at (RFC 3339, UTC)
-- Order    id
SELECT id, tenant, domains, name, created_at, updated_at
FROM sites FINAL
WHERE updated_at >= now64(3, 'UTC') - toIntervalMillisecond({age_ms:UInt64})
ORDER BY id
SETTINGS date_time_output_format = 'iso'
FORMAT JSONEachRow
