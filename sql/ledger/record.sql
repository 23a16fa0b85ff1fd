-- ledger/record: notes that a migration has been applied.
--
-- Serves   the start of the service, `pulsehouse migrate`
-- Params   version  UInt32  number of the migration
--          name     String  its file name without .sql
--          sha256   String  SHA-256 of the file, hex
INSERT INTO schema_migrations (version, name, sha256)
SETTINGS async_insert = 0
SELECT {version:UInt32}, {name:String}, {sha256:String}
