-- keys/in_buckets: all API keys of some buckets of ids, revoked and expired ones included.
--
-- Serves   the directory that every worker keeps in memory, where sites/digests shows that it does not know them
-- Reads    api_keys (0002)
-- Params   of       UInt32         how many buckets there are
--          buckets  Array(UInt32)  which ones
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
WHERE CRC32(id) % {of:UInt32} IN {buckets:Array(UInt32)}
ORDER BY id
SETTINGS
    date_time_output_format = 'iso',
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSONCompact
