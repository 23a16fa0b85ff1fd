-- bench/events: what the server has counted since it started.
--
-- Params   none
-- Returns  event, value (counts, bytes or microseconds: see system.events.description)
SELECT event, value FROM system.events
