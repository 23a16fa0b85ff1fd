-- 0004 signals: everything that /api/track accepted, one row per signal.
--
-- Why      The record that the minute buckets are made from, and what analysts query. No address and no
--          User-Agent: a visitor is a keyed hash. The deduplication window makes a repeated INSERT
--          with the same token a no-op, which is how a retry after an unclear failure stays exactly-once.
-- Data     New table; nothing existing is touched. Rows leave 90 days after their timestamp.
CREATE TABLE IF NOT EXISTS signals
(
    site_id             LowCardinality(String)   COMMENT 'The site; sites.id',
    timestamp           DateTime64(6, 'UTC')     COMMENT 'When the signal was received; signals of one batch follow each other by 1 microsecond',
    type                LowCardinality(String)   COMMENT 'pageview, event, engagement or heartbeat; only pageview counts as a pageview',
    visitor_id          UInt64                   COMMENT 'Keyed hash of site, address and User-Agent under the salt of the timestamp''s day',
    previous_visitor_id UInt64 DEFAULT 0         COMMENT 'The same visitor under the salt of the day before; set in the first minutes after 00:00 UTC only, else 0',
    page                String                   COMMENT 'Path of the page, without query and fragment',
    country             LowCardinality(String)   COMMENT 'ISO 3166-1 alpha-2; empty where unknown',
    referrer            String                   COMMENT 'Host name of the referring page; empty where there is none',
    utm_source          LowCardinality(String)   COMMENT 'Campaign source; empty where not given',
    utm_medium          LowCardinality(String)   COMMENT 'Campaign medium; empty where not given',
    utm_campaign        LowCardinality(String)   COMMENT 'Campaign name; empty where not given',
    action              LowCardinality(String)   COMMENT 'What an event says was done, such as click; empty where not given',
    category            LowCardinality(String)   COMMENT 'Category of an event; empty where not given',
    label               String                   COMMENT 'Label of an event; empty where not given',
    value               Nullable(Float64)        COMMENT 'Number that an event brings; NULL where not given'
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (site_id, timestamp)
TTL toDateTime(timestamp) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1,
    merge_selector_base = 30, -- no poll reads it: it may have many parts, and so a signal is rewritten less often
    default_compression_codec = 'ZSTD(1)', -- half of what LZ4 needs here, for a twentieth more CPU of an INSERT
    auto_statistics_types = '' -- the planner has nothing to choose here
COMMENT 'One row per accepted signal: the record'
