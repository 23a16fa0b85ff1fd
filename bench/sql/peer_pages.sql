-- bench/peer_pages: visitors by page, as peers compute it, from the raw signals.
--
-- Params   sites  Array(String)    the sites asked for
--          now    DateTime('UTC')  the answer's instant
-- Returns  site_id, page, visitors; at most 100 pages of a site
SELECT site_id, page, uniq(visitor_id) AS visitors
FROM signals
WHERE site_id IN {sites:Array(String)} AND timestamp > {now:DateTime('UTC')} - INTERVAL 5 MINUTE
GROUP BY site_id, page
ORDER BY site_id, visitors DESC, page
LIMIT 100 BY site_id
FORMAT TSVRaw
