-- keys/list: the API keys that were made or changed lately, revoked and expired ones included.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse key list`
-- Reads    api_keys (0002)
-- Params   since  DateTime64(3, 'UTC')  the newest row known; rows of the last 60 s come again, as one may commit late
-- Returns  id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at (RFC 3339, UTC),
--          digest (see sites/digests)
-- Order    created_at, id
SELECT id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at,
    cityHash64(id, updated_at) AS digest
FROM api_keys FINAL
WHERE updated_at > {since:DateTime64(3, 'UTC')} OR updated_at >= now64(3, 'UTC') - toIntervalSecond(60)
ORDER BY created_at, id
SETTINGS
    date_time_output_format = 'iso',
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
