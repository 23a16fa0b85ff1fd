-- overview: who is on each site of a tenant right now, without pages and feed.
--
-- Serves   GET /api/realtime/overview
-- Reads    sites (0001), visitor_minutes (0005)
-- Params   tenant   String           whose sites
--          site_id  String           the one site that the key is bound to; empty for every site of the tenant
--          now      DateTime('UTC')  the answer's instant
-- Returns  site_id, active_visitors, pageviews, visitors_per_minute (five numbers, oldest first); one JSON array a row
-- Order    active_visitors and pageviews descending, site_id; one row per site, sites without visitors included
--
-- The window, and who a visitor is in it, are those of realtime.sql. The sites come from their table and not as a
-- parameter, whose length ClickHouse limits: an answer is one statement however many they are.
WITH
    {now:DateTime('UTC')} AS now,
    toStartOfMinute(now) AS newest,
    newest - 240 AS oldest,
    own AS (
        SELECT id, reinterpretAsUInt128(SHA256(id)) AS site
        FROM sites FINAL
        WHERE tenant = {tenant:String} AND removed_at IS NULL AND ({site_id:String} = '' OR id = {site_id:String})
    )
SELECT
    max(id),
    countIf(minutes != 0) AS active_visitors,
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
        '' AS id,
        sum(pageviews) AS views,
        groupBitOr(bitShiftLeft(1::UInt8, least(dateDiff('minute', oldest, minute), 4))) AS minutes
    FROM visitor_minutes
    WHERE visitor_minutes.site IN (SELECT site FROM own) AND minute BETWEEN oldest AND now + 5
    -- around 00:00 UTC a visitor is known by the id under the previous day's salt
    GROUP BY if(previous_visitor_id != 0 AND toDate(oldest) < toDate(now + 5), previous_visitor_id, visitor_id)
    UNION ALL
    SELECT site, id, 0, 0 FROM own
)
GROUP BY site
ORDER BY active_visitors DESC, pageviews DESC, max(id)
SETTINGS
    max_threads = 1,
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_json_array_of_rows = 0
FORMAT JSONCompactEachRow
