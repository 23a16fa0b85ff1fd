-- analysts/list: the analysts, and whose rows they see.
--
-- Serves   `pulsehouse analyst list`
-- Reads    analysts (0012)
-- Returns  name, tenant, created_at (RFC 3339, UTC)
-- Order    name, tenant
SELECT name, tenant, created_at
FROM analysts
ORDER BY name, tenant
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
