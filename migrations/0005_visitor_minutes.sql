-- 0005 visitor_minutes: who was active on which site in which minute.
--
-- Why      All live numbers are made from these buckets instead of the signals: one row per visitor and minute
--          however much they clicked, so distinct visitors are exact and the cost does not grow with pageviews.
--          Sorted by site first, in granules of 256 rows and short compressed blocks: the window of a site is one
--          short stretch, whatever other sites and older minutes the table holds. Parts without a minute of
--          the window are skipped whole. Parts of a megabyte or more have a file for each column: in one file for all, each
--          granule of each column is a block of its own, and a statement for many sites takes longer. More parts are left
--          side by side than usual (merge_selector_base 8 instead of 5): small INSERTs would have the largest rewritten
--          several times a second, which costs more than to read some parts more.
--          A site is 16 bytes of its id's SHA-256, since numbers are compared faster than text; no shorter, since ids are
--          public and can be chosen, and nobody may make one that equals another's.
--          A signal is packed into text that begins with the microseconds left until the year 2286, 16 digits: of
--          several the smallest is the latest, and ~ is greater than all.
-- Data     New table; nothing existing is touched. Rows leave 32 days after their minute.
CREATE TABLE IF NOT EXISTS visitor_minutes
(
    site                UInt128                                COMMENT 'The site: reinterpretAsUInt128(SHA256(site_id))',
    minute              DateTime('UTC')                        COMMENT 'Start of the minute',
    visitor_id          UInt64                                 COMMENT 'As in signals',
    previous_visitor_id SimpleAggregateFunction(max, UInt64)   COMMENT 'As in signals',
    pageviews           SimpleAggregateFunction(sum, UInt64)   COMMENT 'Pageviews of this visitor in this minute',
    latest              SimpleAggregateFunction(min, String)   COMMENT 'The latest signal as text: 9999999999999999 minus its Unix microseconds (16 digits), its country (2 characters), its page',
    source              SimpleAggregateFunction(min, String)   COMMENT 'The latest signal with a referrer or campaign as text: the same 16 digits, referrer, utm_source, utm_medium, utm_campaign, between them tabs; ~ where there is none'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
PRIMARY KEY (site, minute)
ORDER BY (site, minute, visitor_id)
TTL minute + INTERVAL 32 DAY
SETTINGS non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1, merge_selector_base = 8,
    index_granularity = 256, min_compress_block_size = 4096, max_compress_block_size = 16384, min_bytes_for_wide_part = 1000000,
    string_serialization_version = 'single_stream', default_compression_codec = 'LZ4', auto_statistics_types = ''
COMMENT 'Minute buckets per visitor: activity, pageviews, the latest page and the latest source'
