-- realtime: the realtime answers of some sites, each as the finished JSON of GET /api/realtime.
--
-- Serves   GET /api/realtime, every field
-- Reads    visitor_minutes (0005), recent_pageviews (0007)
-- Params   sites  Array(String)    the sites asked for, distinct
--          now    DateTime('UTC')  the answers' instant
-- Returns  site_id, rows_read UInt64 (what the answer cost), answer (JSON object as text); tab-separated
-- Order    none; one row per site asked for, sites without visitors included
--
-- Three kinds of rows meet per site: one per active visitor (minutes != 0), the newest 10 pageviews
-- (timestamp > 0), and one empty row so that a quiet site answers too. `minutes` marks the minutes in
-- which a visitor was active: bit 0 is the oldest of the window, bit 4 the one in progress.
-- An INSERT commits to one table after the other. Where the feed is shorter than 10 it is complete, so its
-- length is the number of pageviews: the two cannot contradict each other, whatever has been committed.
-- now + 5 forgives clocks that run ahead: such rows count in the minute in progress.
WITH {now:DateTime('UTC')} AS now, toStartOfMinute(now) AS newest, newest - 240 AS oldest,
    arraySlice(arrayReverseSort(groupArrayIf((timestamp, page, country), timestamp > toDateTime(0))), 1, 10) AS feed
SELECT
    site_id,
    sum(rows) AS rows_read,
    toJSONString(CAST(
        (
            countIf(minutes != 0),
            if(length(feed) < 10, length(feed), greatest(sum(views), 10)),
            arraySlice(arraySort(p -> (-p.2, p.1), CAST(sumMapIf(map(page, 1), minutes != 0), 'Array(Tuple(String, UInt64))')), 1, 100),
            arrayMap(pageview -> (pageview.2, pageview.1, nullIf(pageview.3, '')), feed),
            arrayMap(
                (visitors, i) -> (formatDateTime(oldest + 60 * i, '%H:%i'), visitors),
                [
                    countIf(bitTest(minutes, 0)),
                    countIf(bitTest(minutes, 1)),
                    countIf(bitTest(minutes, 2)),
                    countIf(bitTest(minutes, 3)),
                    countIf(bitTest(minutes, 4))
                ],
                [0, 1, 2, 3, 4]
            ),
            now
        ),
        'Tuple(
            activeVisitors UInt64,
            pageviewsLast5Min UInt64,
            pageBreakdown Map(String, UInt64),
            recentPageviews Array(Tuple(page String, timestamp DateTime(\'UTC\'), country Nullable(String))),
            visitorsPerMinute Array(Tuple(minute String, visitors UInt64)),
            timestamp DateTime(\'UTC\')
        )'
    )) AS answer
FROM
(
    SELECT
        site_id,
        sum(pageviews) AS views,
        substring(max(latest), 28) AS page,
        groupBitOr(bitShiftLeft(1::UInt8, least(dateDiff('minute', oldest, minute), 4))) AS minutes,
        '' AS country,
        toDateTime(0, 'UTC') AS timestamp,
        count() AS rows
    FROM visitor_minutes
    WHERE site_id IN {sites:Array(String)} AND minute BETWEEN oldest AND now + 5
    -- around 00:00 UTC a visitor is known by the id under the previous day's salt
    GROUP BY site_id, if(previous_visitor_id != 0 AND toDate(oldest) < toDate(now + 5), previous_visitor_id, visitor_id)
    UNION ALL
    SELECT site_id, 0, page, 0, country, timestamp, 1
    FROM recent_pageviews
    WHERE site_id IN {sites:Array(String)} AND minute BETWEEN oldest AND now + 5
    ORDER BY site_id, timestamp DESC, page DESC, country DESC
    LIMIT 10 BY site_id
    UNION ALL
    SELECT arrayJoin({sites:Array(String)}), 0, '', 0, '', toDateTime(0, 'UTC'), 0
)
GROUP BY site_id
SETTINGS
    max_threads = 1,
    query_plan_enable_optimizations = 0, -- nothing here to rearrange, and trying costs a sixth of the time
    output_format_json_escape_forward_slashes = 0,
    output_format_json_quote_64bit_integers = 0,
    output_format_json_named_tuples_as_objects = 1,
    date_time_output_format = 'iso',
    output_format_json_map_as_array_of_tuples = 0,
    output_format_json_skip_null_value_in_named_tuples = 0,
    output_format_tsv_crlf_end_of_line = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw'
FORMAT TSVRaw
