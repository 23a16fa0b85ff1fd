-- bench/peer_recent: the newest pageviews, as peers compute it, from the raw signals.
--
-- Params   sites  Array(String)    the sites asked for
--          now    DateTime('UTC')  the answer's instant
-- Returns  site_id, page, timestamp, country; at most 10 of a site
SELECT site_id, page, timestamp, country
FROM signals
WHERE site_id IN {sites:Array(String)} AND timestamp > {now:DateTime('UTC')} - INTERVAL 5 MINUTE AND type = 'pageview'
ORDER BY site_id, timestamp DESC
LIMIT 10 BY site_id
FORMAT TSVRaw
