-- bench/peer_active_visitors: active visitors, as peers compute it, from the raw signals.
--
-- Params   sites  Array(String)    the sites asked for
--          now    DateTime('UTC')  the answer's instant
-- Returns  site_id, visitors
SELECT site_id, uniq(visitor_id) AS visitors
FROM signals
WHERE site_id IN {sites:Array(String)} AND timestamp > {now:DateTime('UTC')} - INTERVAL 5 MINUTE
GROUP BY site_id
FORMAT TSVRaw
