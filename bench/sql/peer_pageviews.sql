-- bench/peer_pageviews: pageviews of the last 5 minutes, as peers compute it, from the raw signals.
--
-- Params   sites  Array(String)    the sites asked for
--          now    DateTime('UTC')  the answer's instant
-- Returns  site_id, pageviews
SELECT site_id, count() AS pageviews
FROM signals
WHERE site_id IN {sites:Array(String)} AND timestamp > {now:DateTime('UTC')} - INTERVAL 5 MINUTE AND type = 'pageview'
GROUP BY site_id
FORMAT TSVRaw
