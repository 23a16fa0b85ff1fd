-- 0015 live_countries: the active visitors of a site by country, at an instant.
--
-- Why      Counts live_visitors (0011), so the numbers are those of GET /api/realtime/breakdown?by=country.
--          live_countries(site = 'site_abc123', now = now('UTC'))
--            site  String           the site's id
--            now   DateTime('UTC')  the instant asked about
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_countries
(
    country String COMMENT 'ISO 3166-1 alpha-2, of the visitor''s latest signal; empty where unknown',
    visitors UInt64 COMMENT 'Active visitors, each counted once',
    pageviews UInt64 COMMENT 'Pageviews of these visitors in the window, on whatever page'
)
SQL SECURITY INVOKER
AS SELECT country, count() AS visitors, sum(live_visitors.pageviews) AS pageviews
FROM live_visitors(site = {site:String}, now = {now:DateTime('UTC')}) AS live_visitors
GROUP BY country
COMMENT 'live_countries(site, now): active visitors by country'
