-- bench/peer_per_minute: visitors in each minute, as peers compute it, from the raw signals.
--
-- Params   sites  Array(String)    the sites asked for
--          now    DateTime('UTC')  the answer's instant
-- Returns  site_id, minute, visitors
SELECT site_id, toStartOfMinute(timestamp) AS minute, uniq(visitor_id) AS visitors
FROM signals
WHERE site_id IN {sites:Array(String)} AND timestamp > {now:DateTime('UTC')} - INTERVAL 5 MINUTE
GROUP BY site_id, minute
ORDER BY site_id, minute
FORMAT TSVRaw
