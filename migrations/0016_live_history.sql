-- 0016 live_history: how the live number of a site went, minute by minute.
--
-- Why      The numbers of GET /api/realtime/history, over any time that visitor_minutes keeps; from live_minutes (0010),
--          which folds the two ids of a visitor over 00:00 UTC.
--          live_history(site = 'site_abc123', first = now('UTC') - INTERVAL 1 DAY, now = now('UTC'))
--            site   String           the site's id
--            first  DateTime('UTC')  an instant in the first minute
--            now    DateTime('UTC')  the instant of asking; its minute is the last
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_history
(
    minute DateTime('UTC') COMMENT 'Start of the minute; the time column. A minute without visitors has a row of zeros',
    active_visitors UInt64 COMMENT 'The live number: visitors active in this minute or the four before it',
    visitors UInt64 COMMENT 'Visitors active in this minute',
    pageviews UInt64 COMMENT 'Pageviews in this minute'
)
SQL SECURITY INVOKER
AS SELECT
    window_end AS minute,
    uniqExact(visitor) AS active_visitors,
    uniqExactIf(visitor, live_minutes.minute = window_end) AS visitors,
    sumIf(live_minutes.pageviews, live_minutes.minute = window_end) AS pageviews
FROM live_minutes(site = {site:String}, first = toStartOfMinute({first:DateTime('UTC')}), now = {now:DateTime('UTC')}) AS live_minutes
GROUP BY window_end
ORDER BY window_end WITH FILL
    FROM toStartOfMinute({first:DateTime('UTC')})
    TO {now:DateTime('UTC')} + 1
    STEP 60
COMMENT 'live_history(site, first, now): the live number of each minute'
