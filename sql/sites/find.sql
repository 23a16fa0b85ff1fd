-- sites/find: the sites with some ids, removed ones included.
--
-- Serves   /api/sites and `pulsehouse site`, before they change anything
-- Reads    sites (0001)
-- Params   ids  Array(String)  the sites asked for
-- Returns  id, tenant, domains, name, created_at, removed_at, cleared_at and updated_at (RFC 3339, UTC), addition
-- Order    id
SELECT id, tenant, domains, name, created_at, removed_at, cleared_at, updated_at, addition
FROM sites FINAL
WHERE id IN {ids:Array(String)}
ORDER BY id
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
