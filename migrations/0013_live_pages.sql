-- 0013 live_pages: the active visitors of a site by page, at an instant.
--
-- Why      Counts live_visitors (0011), so the numbers are those of GET /api/realtime/breakdown?by=page.
--          live_pages(site = 'site_abc123', now = now('UTC'))
--            site  String           the site's id
--            now   DateTime('UTC')  the instant asked about
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_pages
(
    page String COMMENT 'The page of the visitor''s latest signal',
    visitors UInt64 COMMENT 'Active visitors, each counted once',
    pageviews UInt64 COMMENT 'Pageviews of these visitors in the window, on whatever page'
)
SQL SECURITY INVOKER
AS SELECT page, count() AS visitors, sum(live_visitors.pageviews) AS pageviews
FROM live_visitors(site = {site:String}, now = {now:DateTime('UTC')}) AS live_visitors
GROUP BY page
COMMENT 'live_pages(site, now): active visitors by page'
