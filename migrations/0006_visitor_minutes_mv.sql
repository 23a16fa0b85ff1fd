-- 0006 visitor_minutes_mv: rolls each inserted block of signals into visitor_minutes.
--
-- Why      Runs inside the INSERT, so a committed signal is in its bucket.
-- Data     Sees rows inserted from now on.
CREATE MATERIALIZED VIEW IF NOT EXISTS visitor_minutes_mv TO visitor_minutes AS
SELECT
    toStartOfMinute(timestamp)                     AS minute,
    site_id,
    visitor_id,
    max(signals.previous_visitor_id)               AS previous_visitor_id,
    countIf(type = 'pageview')                     AS pageviews,
    max(concat(toString(timestamp), ' ', page))    AS latest
FROM signals
GROUP BY minute, site_id, visitor_id
