-- history: how the live number of a site went, minute by minute.
--
-- Serves   GET /api/realtime/history
-- Reads    live_minutes (0010)
-- Params   site   String           the site
--          first  DateTime('UTC')  the first minute
--          now    DateTime('UTC')  the answer's instant; its minute is the last
-- Returns  minute (Unix seconds), active_visitors, pageviews, visitors (UInt64)
-- Order    minute; one row per minute, zeros included
SELECT
    toUnixTimestamp(window_end) AS minute,
    uniqExact(visitor) AS active_visitors,
    sumIf(live_minutes.pageviews, live_minutes.minute = window_end) AS pageviews,
    uniqExactIf(visitor, live_minutes.minute = window_end) AS visitors
FROM live_minutes(site = {site:String}, first = {first:DateTime('UTC')}, now = {now:DateTime('UTC')}) AS live_minutes
GROUP BY window_end
ORDER BY minute WITH FILL
    FROM toUnixTimestamp({first:DateTime('UTC')})
    TO toUnixTimestamp({now:DateTime('UTC')}) + 1
    STEP 60
SETTINGS
    max_threads = 1,
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_json_array_of_rows = 0,
    output_format_json_named_tuples_as_objects = 0
FORMAT JSONCompactEachRow
