-- keys/changed: the API keys that were made or changed lately, revoked and expired ones included.
--
-- Why      As sites/changed.
-- Serves   the directory that every worker keeps in memory
-- Reads    api_keys (0002)
-- Params   since_ms  Int64  the newest row known, Unix time; rows of the last 60 s come again, as one may commit late
-- Returns  id, tenant, token_sha256 (base64), scope, site_id, expires_at, revoked_at (RFC 3339, UTC), updated_ms (Unix time)
-- Order    id
SELECT
    id,
    tenant,
    base64Encode(unhex(token_sha256)) AS token_sha256,
    scope,
    site_id,
    expires_at,
    revoked_at,
    toUnixTimestamp64Milli(updated_at) AS updated_ms
FROM api_keys FINAL
WHERE id IN
(
    SELECT id
    FROM api_keys
    WHERE updated_at > least(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), now64(3, 'UTC') - toIntervalSecond(60))
)
ORDER BY id
SETTINGS
    date_time_output_format = 'iso',
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0, set_overflow_mode = 'throw'
FORMAT JSONCompact
