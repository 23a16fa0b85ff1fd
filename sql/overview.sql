-- overview: who is on each of some sites right now, without pages and feed.
--
-- Serves   GET /api/realtime/overview
-- Reads    visitor_minutes (0005)
-- Params   sites   Array(UInt128)   the sites asked for, distinct, each as reinterpretAsUInt128(SHA256(its id))
--          now     DateTime('UTC')  the answer's instant
--          oldest  DateTime('UTC')  the first minute of its window: the start of the minute in progress, less 4 minutes
-- Returns  site (as in the parameter, in digits), active_visitors, pageviews, visitors_per_minute (five numbers, oldest
--          first)
-- Order    none; one row per site with visitors. JSONCompact ends with the number of rows: no row is known from no answer
--
-- The window, and who a visitor is in it, are those of realtime.sql.
WITH
    {now:DateTime('UTC')} AS now,
    {oldest:DateTime('UTC')} AS oldest
SELECT
    toString(site),
    count() AS active_visitors,
    sum(views) AS pageviews,
    [
        countIf(bitTest(minutes, 0)),
        countIf(bitTest(minutes, 1)),
        countIf(bitTest(minutes, 2)),
        countIf(bitTest(minutes, 3)),
        countIf(bitTest(minutes, 4))
    ] AS visitors_per_minute
FROM
(
    SELECT
        any(visitor_minutes.site) AS site,
        sum(pageviews) AS views,
        groupBitOr(bitShiftLeft(1::UInt8, least(dateDiff('minute', oldest, minute), 4))) AS minutes
    FROM visitor_minutes
    WHERE visitor_minutes.site IN {sites:Array(UInt128)} AND minute BETWEEN oldest AND now + 5
    -- around 00:00 UTC a visitor is known by the id under the previous day's salt
    GROUP BY if(previous_visitor_id != 0 AND toDate(oldest) < toDate(now + 5), previous_visitor_id, visitor_id)
)
GROUP BY site
SETTINGS
    max_threads = 1,
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0
FORMAT JSONCompact
