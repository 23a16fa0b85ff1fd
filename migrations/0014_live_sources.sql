-- 0014 live_sources: the active visitors of a site by referrer, at an instant.
--
-- Why      Counts live_visitors (0011), so the numbers are those of GET /api/realtime/breakdown?by=referrer.
--          live_sources(site = 'site_abc123', now = now('UTC'))
--            site  String           the site's id
--            now   DateTime('UTC')  the instant asked about
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_sources
(
    referrer String COMMENT 'Host name of the page that led here, as the visitor''s latest signal with a source has it; empty where there is none',
    visitors UInt64 COMMENT 'Active visitors, each counted once',
    pageviews UInt64 COMMENT 'Pageviews of these visitors in the window, on whatever page'
)
SQL SECURITY INVOKER
AS SELECT referrer, count() AS visitors, sum(live_visitors.pageviews) AS pageviews
FROM live_visitors(site = {site:String}, now = {now:DateTime('UTC')}) AS live_visitors
GROUP BY referrer
COMMENT 'live_sources(site, now): active visitors by referrer'
