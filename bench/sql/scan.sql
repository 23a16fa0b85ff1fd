-- bench/scan: what an analyst may ask who has forgotten site and time: all rows, by page.
--
-- Returns  page, visitors, pageviews
SELECT page, uniqExact(visitor_id) AS visitors, countIf(type = 'pageview') AS pageviews
FROM signals
GROUP BY page
ORDER BY visitors DESC
LIMIT 100
