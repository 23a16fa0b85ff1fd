-- keys/list: the API keys that were made or changed since an instant, revoked and expired ones included.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse key list`
-- Reads    api_keys (0002)
-- Params   since_ms  Int64  rows written at or after this instant, Unix milliseconds; 0 for all
-- Returns  id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at (RFC 3339, UTC)
-- Order    created_at, id
SELECT id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at
FROM api_keys FINAL
WHERE updated_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
ORDER BY created_at, id
SETTINGS date_time_output_format = 'iso'
FORMAT JSONEachRow
