-- realtime: what the realtime answers of some sites are made of.
--
-- Serves   GET /api/realtime, every field
-- Reads    visitor_minutes (0005), recent_pageviews (0007)
-- Params   sites   Array(UInt128)   the sites asked for, distinct, each as reinterpretAsUInt128(SHA256(its id))
--          now     DateTime('UTC')  the answers' instant
--          oldest  DateTime('UTC')  the first minute of its window: the start of the minute in progress, less 4 minutes
-- Returns  site         String                         as in the parameter, in digits
--          visitors     UInt64                         active visitors
--          pageviews    UInt64                         pageviews in the window
--          pages        Array(Tuple(String, UInt64))   page and its visitors; most visitors first, then by page; at most 100
--          newest       Array(String)                  the newest 10 pageviews, newest first, packed like visitor_minutes.latest
--          per_minute   Array(UInt64)                  visitors of each of the five minutes, oldest first
-- Order    none; one row per site with visitors. JSONCompact ends with the number of rows: no row is known from no answer
--
-- `minutes` marks the minutes in which a visitor was active: bit 0 is the oldest of the window, bit 4 the one in progress.
-- now + 5 forgives clocks that run ahead: such rows count in the minute in progress.
-- An INSERT commits to one table after the other. Where the feed is shorter than 10 it is complete, so its
-- length is the number of pageviews: the two cannot contradict each other, whatever has been committed.
-- A visitor belongs to one site, so visitors are grouped by their id alone, as in live_minutes (0010); the two are
-- held to be equal by a test.
WITH
    {now:DateTime('UTC')} AS now,
    {oldest:DateTime('UTC')} AS oldest,
    visitors AS
    (
        SELECT
            any(visitor_minutes.site) AS site,
            substring(min(latest), 19) AS page,
            sum(visitor_minutes.pageviews) AS pageviews,
            groupBitOr(bitShiftLeft(1::UInt8, least(dateDiff('minute', oldest, minute), 4))) AS minutes
        FROM visitor_minutes
        WHERE visitor_minutes.site IN {sites:Array(UInt128)} AND minute BETWEEN oldest AND now + 5
        GROUP BY if(previous_visitor_id != 0 AND toDate(oldest) < toDate(now + 5), previous_visitor_id, visitor_id)
    ),
    feed AS
    (
        SELECT site, groupArraySortedMerge(10)(newest_state) AS newest
        FROM recent_pageviews
        WHERE site IN {sites:Array(UInt128)} AND minute BETWEEN oldest AND now + 5
        GROUP BY site
    ),
    groupArrayArray(newest) AS newest_of_site
SELECT
    toString(site),
    countIf(minutes != 0) AS visitors,
    if(length(newest_of_site) < 10, length(newest_of_site), greatest(sum(pageviews), 10)) AS pageviews,
    arraySlice(arraySort(p -> (-p.2, p.1), sumMapIf(map(page, 1), minutes != 0)::Array(Tuple(String, UInt64))), 1, 100) AS pages,
    newest_of_site,
    [
        countIf(bitTest(minutes, 0)),
        countIf(bitTest(minutes, 1)),
        countIf(bitTest(minutes, 2)),
        countIf(bitTest(minutes, 3)),
        countIf(bitTest(minutes, 4))
    ] AS per_minute
FROM
(
    SELECT site, minutes, page, pageviews, []::Array(String) AS newest FROM visitors
    UNION ALL
    SELECT site, 0, '', 0, newest FROM feed
)
GROUP BY site
SETTINGS
    max_threads = 1,
    query_plan_enable_optimizations = 0, -- nothing here to rearrange, and trying costs a sixth of the time
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_named_tuples_as_objects = 0
FORMAT JSONCompact
