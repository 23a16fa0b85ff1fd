-- 0011 live_visitors: who is on a site at an instant, one row per active visitor, with one value per dimension.
--
-- Why      Breakdowns and analysts count these rows; without filters they are those of the realtime answer.
--          live_visitors(site = 'site_abc123', now = toDateTime('2026-11-24 12:00:30'))
--            site  String           the site's id
--            now   DateTime('UTC')  the instant asked about
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_visitors AS
WITH
    min(latest) AS latest_signal,
    splitByChar('\t', substring(min(source), 17)) AS came_from
SELECT
    visitor,
    sum(live_minutes.pageviews) AS pageviews,
    substring(latest_signal, 19) AS page,
    trimRight(substring(latest_signal, 17, 2)) AS country,
    came_from[1] AS referrer,
    came_from[2] AS utm_source,
    came_from[3] AS utm_medium,
    came_from[4] AS utm_campaign
FROM live_minutes(site = {site:String}, first = toStartOfMinute({now:DateTime('UTC')}), now = {now:DateTime('UTC')}) AS live_minutes
GROUP BY visitor
COMMENT 'live_visitors(site, now): the active visitors of a site, with page, country and source'
