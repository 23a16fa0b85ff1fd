-- 0005 visitor_minutes: who was active on which site in which minute.
--
-- Why      The realtime answer reads these buckets instead of the signals: one row per visitor and minute
--          however much they clicked, so distinct visitors are exact and the cost does not grow with
--          pageviews. Sorted by site first, in granules of 256 rows and short compressed blocks: the window of
--          a site is one short stretch, whatever other sites and older minutes the table holds. Parts without
--          a minute of the window are skipped whole. site_id is a plain String: dictionaries cost more than
--          they save here.
-- Data     New table; nothing existing is touched. Rows leave 32 days after their minute.
CREATE TABLE IF NOT EXISTS visitor_minutes
(
    site_id             String                                      COMMENT 'The site; sites.id',
    minute              DateTime('UTC')                             COMMENT 'Start of the minute',
    visitor_id          UInt64                                      COMMENT 'As in signals',
    previous_visitor_id SimpleAggregateFunction(max, UInt64)        COMMENT 'As in signals',
    pageviews           SimpleAggregateFunction(sum, UInt64)        COMMENT 'Pageviews of this visitor in this minute',
    latest              SimpleAggregateFunction(max, String)        COMMENT 'The latest signal as text: its timestamp (26 characters), a space, its page; compares in the order of time'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
PRIMARY KEY (site_id, minute)
ORDER BY (site_id, minute, visitor_id)
TTL minute + INTERVAL 32 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, index_granularity = 256,
    min_compress_block_size = 4096, max_compress_block_size = 16384
COMMENT 'Minute buckets per visitor: activity, pageviews and the latest page'
