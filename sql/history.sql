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
    output_format_json_quote_64bit_integers = 0
FORMAT JSONCompactEachRow
