-- sites/list: all sites that are not removed.
--
-- Serves   `pulsehouse site list`
-- Reads    sites (0001)
-- Params   none
-- Returns  id, tenant, domains, name, created_at, removed_at, cleared_at and updated_at (RFC 3339, UTC)
-- Order    id
SELECT id, tenant, domains, name, created_at, removed_at, cleared_at, updated_at
FROM sites FINAL
WHERE removed_at IS NULL
ORDER BY id
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
