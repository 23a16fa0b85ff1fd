-- 0009 pageviews: the pageviews among the signals, for analysts.
--
-- Why      SELECT count() FROM pageviews is the number that people mean.
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS pageviews
(
    site_id      LowCardinality(String) COMMENT 'The site; sites.id',
    timestamp    DateTime64(6, 'UTC')   COMMENT 'When the pageview was received',
    visitor_id   UInt64                 COMMENT 'As in signals',
    page         String                 COMMENT 'Path of the page, without query and fragment',
    country      LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2; empty where unknown',
    referrer     String                 COMMENT 'Host name of the referring page; empty where there is none',
    utm_source   LowCardinality(String) COMMENT 'Campaign source; empty where not given',
    utm_medium   LowCardinality(String) COMMENT 'Campaign medium; empty where not given',
    utm_campaign LowCardinality(String) COMMENT 'Campaign name; empty where not given'
)
AS SELECT site_id, timestamp, visitor_id, page, country, referrer, utm_source, utm_medium, utm_campaign
FROM signals
WHERE type = 'pageview'
COMMENT 'The pageviews among the signals'
