-- sites/add: stores new sites, all or none.
--
-- Serves   POST /api/sites, `pulsehouse site add` and `import`, the demo
-- Rows     id, tenant, domains, name
INSERT INTO sites (id, tenant, domains, name)
SETTINGS async_insert = 0, input_format_parallel_parsing = 0
FORMAT JSONEachRow
