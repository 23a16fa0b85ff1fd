-- 0006 visitor_minutes_mv: rolls each inserted block of signals into visitor_minutes.
--
-- Why      Runs inside the INSERT, so a committed signal is in its bucket. Pages, referrers and campaigns have no
--          control characters, so tabs separate them.
-- Data     Sees rows inserted from now on.
CREATE MATERIALIZED VIEW IF NOT EXISTS visitor_minutes_mv TO visitor_minutes AS
WITH
    9999999999999999 - toUnixTimestamp64Micro(timestamp) AS until_2286,
    concat(referrer, '\t', utm_source, '\t', utm_medium, '\t', utm_campaign) AS came_from
SELECT
    reinterpretAsUInt128(SHA256(site_id))                                                          AS site,
    toStartOfMinute(timestamp)                                                                     AS minute,
    visitor_id,
    max(signals.previous_visitor_id)                                                               AS previous_visitor_id,
    countIf(type = 'pageview')                                                                     AS pageviews,
    min(concat(toString(until_2286), rightPad(country, 2), page))                                  AS latest,
    min(if(came_from = '\t\t\t', '~', concat(toString(until_2286), came_from)))                      AS source
FROM signals
GROUP BY site, minute, visitor_id
