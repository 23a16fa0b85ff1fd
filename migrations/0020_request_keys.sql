-- 0020 request_keys: which requests to /api/track came with an Idempotency-Key, and when each was first received.
--
-- Why      A repetition is to make the very rows of the first attempt, so that ClickHouse drops them in every table: its
--          deduplication is per partition, and a repetition after midnight would be in another one. So the first attempt
--          writes here when it was received, and all take that. Of attempts at the same moment ClickHouse keeps one
--          row: the id is the deduplication token, and the table has no partitions.
-- Data     New table; nothing existing is touched. Rows leave an hour after their request.
CREATE TABLE IF NOT EXISTS request_keys
(
    id          FixedString(64)      COMMENT 'SHA-256 of tenant, sites and key, lower-case hex',
    received_at DateTime64(6, 'UTC') COMMENT 'When the request was first received: the timestamp of its signals, whenever they are stored',
    body_sha256 FixedString(64)      COMMENT 'SHA-256 of the request''s body, lower-case hex: a repetition has the same one'
)
ENGINE = MergeTree
ORDER BY id
TTL toDateTime(received_at) + INTERVAL 1 HOUR
SETTINGS non_replicated_deduplication_window = 100000, replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800, index_granularity = 256, auto_statistics_types = ''
COMMENT 'Requests with an Idempotency-Key, each once'
