-- breakdown: the active visitors of a site by one dimension.
--
-- Serves   GET /api/realtime/breakdown
-- Reads    live_visitors (0011)
-- Params   site      String           the site
--          now       DateTime('UTC')  the answer's instant
--          by        String           the dimension, as it is called in the API
--          names     Array(String)    the dimensions that are filtered by
--          patterns  Array(String)    what each of them must be: a value, empty for none, or a beginning and a *
-- Returns  visitors, pageviews (UInt64, of all that the filters keep),
--          shares Array(Tuple(value String, visitors UInt64, pageviews UInt64)): most visitors first, then by value, empty
--          (none) last; at most 100
-- Order    one row, always
WITH
    live AS
    (
        SELECT
            live_visitors.pageviews AS pageviews,
            map(
                'page', page,
                'country', country,
                'referrer', referrer,
                'utmSource', utm_source,
                'utmMedium', utm_medium,
                'utmCampaign', utm_campaign
            ) AS dimensions
        FROM live_visitors(site = {site:String}, now = {now:DateTime('UTC')}) AS live_visitors
        WHERE arrayAll(
            (name, pattern) -> if(
                endsWith(pattern, '*'),
                dimensions[name] != '' AND startsWith(dimensions[name], substring(pattern, 1, length(pattern) - 1)),
                dimensions[name] = pattern
            ),
            {names:Array(String)},
            {patterns:Array(String)}
        )
    ),
    shares AS
    (
        SELECT dimensions[{by:String}] AS value, count() AS visitors, sum(live.pageviews) AS pageviews
        FROM live
        GROUP BY value
    )
SELECT
    sum(shares.visitors) AS visitors,
    sum(shares.pageviews) AS pageviews,
    arraySlice(
        arraySort(share -> (-share.2, share.1 = '', share.1), groupArray((value, shares.visitors, shares.pageviews))), 1, 100
    ) AS shares
FROM shares
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
