-- version: the version of ClickHouse, as 26.7.3.9.
--
-- Serves   the start of the service, which warns of versions known to be wrong
-- Returns  the version; one row
SELECT version()
FORMAT TSVRaw
