-- faults/fill_large_site: one pageview of each of many visitors in the minute in progress, through the views.
--
-- Params   site      String  the large site
--          visitors  UInt64  how many
INSERT INTO signals (site_id, timestamp, type, visitor_id, page, country)
SETTINGS async_insert = 0, distributed_foreground_insert = 1
SELECT {site:String}, now64(6, 'UTC'), 'pageview', cityHash64(number), concat('/page/', toString(number % 500)), 'DE'
FROM numbers({visitors:UInt64})
