-- ledger/list: the migrations that this database has seen.
--
-- Serves   the start of the service, `pulsehouse migrate`
-- Reads    schema_migrations
-- Returns  version, name, sha256
-- Order    version
SELECT version, name, sha256
FROM schema_migrations FINAL
ORDER BY version
FORMAT JSONEachRow
