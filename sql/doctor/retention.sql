-- doctor/retention: how long each table keeps its rows.
--
-- Serves   `pulsehouse doctor`, `pulsehouse database retention`
-- Reads    system.tables
-- Returns  table, days (0: for good), whole_parts Bool (expired rows leave as whole parts, which costs nothing)
-- Order    table
SELECT
    name AS table,
    toUInt32OrZero(extract(engine_full, ' TTL [^,]*toIntervalDay\\((?:_CAST\\()?(\\d+)')) AS days,
    (engine_full LIKE '%ttl_only_drop_parts = 1%')::Bool AS whole_parts
FROM system.tables
WHERE database = currentDatabase() AND name IN ('recent_pageviews', 'signals', 'visitor_minutes')
ORDER BY table
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
