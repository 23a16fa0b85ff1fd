-- keys/list: the API keys that were made or changed lately, revoked and expired ones included.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse key list`
-- Reads    api_keys (0002)
-- Params   age_ms  UInt64  rows written in the last so many milliseconds, by the clock of ClickHouse
-- Returns  id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at (RFC 3339, UTC)
-- Order    created_at, id
SELECT id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at
FROM api_keys FINAL
WHERE updated_at >= now64(3, 'UTC') - toIntervalMillisecond({age_ms:UInt64})
ORDER BY created_at, id
SETTINGS date_time_output_format = 'iso'
FORMAT JSONEachRow
