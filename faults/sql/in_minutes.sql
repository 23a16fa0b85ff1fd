-- faults/in_minutes: the pageviews of the minute buckets, and those among the signals; they must be the same.
--
-- Params   none
-- Returns  in the minute buckets, among the signals
SELECT (SELECT sum(pageviews) FROM visitor_minutes), (SELECT count() FROM signals WHERE type = 'pageview')
