-- create_database: the database that the service keeps its tables in.
--
-- Serves   the start of the service
-- Params   database  Identifier  the name in PULSEHOUSE_CLICKHOUSE_URL
CREATE DATABASE IF NOT EXISTS {database:Identifier}
