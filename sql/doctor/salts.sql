-- doctor/salts: the days that there are salts of; not the salts.
--
-- Serves   `pulsehouse doctor`
-- Reads    salts (0003)
-- Returns  day, salts (how many: must be 1)
-- Order    day
SELECT day, count() AS salts
FROM salts
GROUP BY day
ORDER BY day
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
