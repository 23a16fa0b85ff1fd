-- ledger/record: notes that a migration has been applied.
--
-- Serves   the start of the service, `pulsehouse migrate`
-- Params   version  UInt32  number of the migration
--          name     String  its file name without .sql
--          sha256   String  SHA-256 of the file, hex
INSERT INTO schema_migrations (version, name, sha256)
SETTINGS
    async_insert = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT {version:UInt32}, {name:String}, {sha256:String}
