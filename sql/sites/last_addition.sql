-- sites/last_addition: the newest addition of sites, of whichever tenant; empty where there was none.
--
-- Serves   POST /api/sites, `pulsehouse site add` and `import`
-- Reads    sites (0001)
-- Params   none
-- Returns  addition
-- Order    one row
SELECT max(addition) AS addition
FROM sites FINAL
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
