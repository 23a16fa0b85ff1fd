-- 0003 salts: the random key of each day, under which visitors are hashed.
--
-- Why      All workers must hash a visitor alike, so the salt lives here and not in a process. The first worker
--          to insert a day's salt wins: the day is the deduplication token, and the window below makes
--          ClickHouse drop every later attempt. A salt is deleted once it has served, so that old visitor
--          ids cannot be recomputed from an address; each day is a partition, so that dropping it is one step.
-- Data     New table; nothing existing is touched.
CREATE TABLE IF NOT EXISTS salts
(
    day  Date            COMMENT 'The UTC day whose signals are hashed under this salt',
    salt FixedString(64) COMMENT '256 random bits, lower-case hex'
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY day
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 604800, old_parts_lifetime = 1
COMMENT 'Salts of the visitor hash; one row per day, deleted after use'
