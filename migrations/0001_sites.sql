-- 0001 sites: the websites whose visitors are counted, each owned by one tenant.
--
-- Why      Every worker keeps the newest row of each site in memory and refreshes it every second, so a
--          request is checked without a query. A change is a new row with the same id;
--          a removal too, so that workers learn of it, and so that the id stays with its tenant.
--          Additions are numbered, and the number is the deduplication token of the INSERT: of two workers that add at
--          the same moment one is dropped by ClickHouse, and looks again whether the ids are free.
-- Data     New table; nothing existing is touched.
CREATE TABLE IF NOT EXISTS sites
(
    id         String                 COMMENT 'Public site id, as in the tracker and in /api/realtime?siteId=',
    tenant     LowCardinality(String) COMMENT 'The customer who owns the site; only its API keys read it',
    domains    Array(String)          COMMENT 'Host names, lower case; pages of these (and their www. twins) may send signals from a browser',
    name       String                 COMMENT 'Name shown to people',
    created_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When the site was added',
    removed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'From this instant on there is no such site; NULL: not removed',
    cleared_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the rows of a removed site were deleted from the other tables; NULL: not yet',
    addition   String                 COMMENT 'The addition that the site came with: its number with 12 digits, -, and what nobody else writes',
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written, by the clock of ClickHouse; the newest row of an id holds'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Websites and their owners; read with FINAL'
