-- 0007 recent_pageviews: the pageviews that can appear in a site's feed.
--
-- Why      The feed shows 10 pageviews, so of each site and minute only the newest 10 can matter, whatever the moment
--          that is asked about. They are one row, which does not grow with clicks: merges keep 10 of what two rows have.
--          A window is five rows of up to 10 pageviews each, so granules are shorter than those of visitor_minutes.
-- Data     New table; nothing existing is touched. Rows leave 2 days after their minute.
CREATE TABLE IF NOT EXISTS recent_pageviews
(
    site         UInt128                                          COMMENT 'The site, as in visitor_minutes',
    minute       DateTime('UTC')                                  COMMENT 'Start of the minute',
    newest_state AggregateFunction(groupArraySorted(10), String)  COMMENT 'The newest 10 pageviews, newest first, each as text like visitor_minutes.latest'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
ORDER BY (site, minute)
TTL minute + INTERVAL 2 DAY
SETTINGS non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1, merge_selector_base = 8,
    index_granularity = 32, min_compress_block_size = 4096, max_compress_block_size = 16384, default_compression_codec = 'LZ4', auto_statistics_types = ''
COMMENT 'The feed of newest pageviews: at most 10 per site and minute; not a complete record'
