-- realtime: the realtime answers of some sites, each as the finished JSON of GET /api/realtime.
--
-- Serves   GET /api/realtime, every field
-- Reads    visitor_minutes (0005), recent_pageviews (0007)
-- Params   sites  Array(String)    the sites asked for, distinct
--          now    DateTime('UTC')  the answers' instant
-- Returns  site_id, answer (JSON object as text); tab-separated
-- Order    none; one row per site asked for, sites without visitors included
--
-- Three kinds of rows meet per site: one per active visitor (minutes != 0), the newest 10 pageviews
-- (timestamp > 0), and one empty row so that a quiet site answers too. `minutes` holds a counter of
-- 24 bits for each minute of the window, oldest first: or-ed they mark a visitor's minutes, summed
-- they count visitors. now + 5 forgives clocks that run ahead: such rows count in the newest minute.
WITH {now:DateTime('UTC')} AS now, toStartOfMinute(now) AS newest
SELECT
    site_id,
    toJSONString(CAST((
        countIf(minutes != 0),
        sum(views),
        arraySlice(arraySort(p -> (-p.2, p.1), CAST(sumMapIf(map(page, 1), minutes != 0), 'Array(Tuple(String, UInt64))')), 1, 100),
        arrayMap(f -> (f.2, f.1, nullIf(f.3, '')), arraySlice(arrayReverseSort(groupArrayIf((timestamp, page, country), timestamp > toDateTime(0))), 1, 10)),
        arrayMap(i -> (formatDateTime(newest - 240 + 60 * i, '%H:%i'), bitAnd(bitShiftRight(sum(minutes), 24 * i), 16777215)), [0, 1, 2, 3, 4]),
        now
    ), 'Tuple(activeVisitors UInt64, pageviewsLast5Min UInt64, pageBreakdown Map(String, UInt64), recentPageviews Array(Tuple(page String, timestamp DateTime(\'UTC\'), country Nullable(String))), visitorsPerMinute Array(Tuple(minute String, visitors UInt64)), timestamp DateTime(\'UTC\'))')) AS answer
FROM
(
    SELECT
        site_id,
        sum(pageviews) AS views,
        substring(max(latest), 28) AS page,
        groupBitOr(bitShiftLeft(1::UInt128, 24 * (4 - greatest(dateDiff('minute', minute, newest), 0)))) AS minutes,
        '' AS country,
        toDateTime(0, 'UTC') AS timestamp
    FROM visitor_minutes
    WHERE site_id IN {sites:Array(String)} AND minute BETWEEN newest - 240 AND now + 5
    -- around 00:00 UTC a visitor is known by the id under the previous day's salt
    GROUP BY site_id, if(previous_visitor_id != 0 AND toDate(newest - 240) < toDate(now + 5), previous_visitor_id, visitor_id)
    UNION ALL
    SELECT site_id, 0, page, 0, country, timestamp
    FROM recent_pageviews
    WHERE site_id IN {sites:Array(String)} AND minute BETWEEN newest - 240 AND now + 5
    ORDER BY site_id, timestamp DESC, page DESC, country DESC
    LIMIT 10 BY site_id
    UNION ALL
    SELECT arrayJoin({sites:Array(String)}), 0, '', 0, '', toDateTime(0, 'UTC')
)
GROUP BY site_id
SETTINGS max_threads = 1, output_format_json_escape_forward_slashes = 0, output_format_json_quote_64bit_integers = 0,
    output_format_json_named_tuples_as_objects = 1, date_time_output_format = 'iso'
FORMAT TSVRaw
