-- ledger/create_ledger: the record of which migrations this database has seen.
--
-- Serves   the start of the service, `pulsehouse migrate`
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32              COMMENT 'Number of the migration',
    name       String              COMMENT 'Its file name without .sql',
    sha256     FixedString(64)     COMMENT 'SHA-256 of the file when it was applied, lower-case hex',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was recorded, by the clock of ClickHouse'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
COMMENT 'Ledger of applied migrations; read with FINAL'
