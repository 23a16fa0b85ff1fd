-- 0007 recent_pageviews: the pageviews that can appear in a site's feed.
--
-- Why      The feed shows 10 pageviews, so of each inserted block only the newest 10 of a site and minute can
--          matter. They are kept in the order the realtime answer reads: by site, then minute.
-- Data     New table; nothing existing is touched. Rows leave 2 days after their minute.
CREATE TABLE IF NOT EXISTS recent_pageviews
(
    site_id   String                 COMMENT 'The site; sites.id',
    minute    DateTime('UTC')        COMMENT 'Start of the minute',
    timestamp DateTime64(6, 'UTC')   COMMENT 'As in signals',
    page      String                 COMMENT 'As in signals',
    country   LowCardinality(String) COMMENT 'As in signals'
)
ENGINE = MergeTree
PARTITION BY toDate(minute)
ORDER BY (site_id, minute, timestamp)
TTL minute + INTERVAL 2 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, index_granularity = 256,
    min_compress_block_size = 4096, max_compress_block_size = 16384
COMMENT 'The feed of newest pageviews: at most 10 per site, minute and inserted block; not a complete record'
