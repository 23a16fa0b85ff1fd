-- salts/list: the salts in use, and which of them have served by ClickHouse's clock.
--
-- Serves   the hashing of visitors
-- Reads    salts (0003)
-- Params   kept_minutes  UInt32  how long a salt is kept after its day
-- Returns  day, salt (hex), served Bool
-- Order    day
SELECT day, salt, (day < toDate(now('UTC') - toIntervalMinute({kept_minutes:UInt32})))::Bool AS served
FROM salts
ORDER BY day
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
