-- sites/find: the sites with some ids, removed ones included.
--
-- Serves   /api/sites and `pulsehouse site`, before they change anything
-- Reads    sites (0001)
-- Params   ids  Array(String)  the sites asked for
-- Returns  id, tenant, domains, name, created_at, removed_at, cleared_at and updated_at (RFC 3339, UTC)
-- Order    id
SELECT id, tenant, domains, name, created_at, removed_at, cleared_at, updated_at
FROM sites FINAL
WHERE id IN {ids:Array(String)}
ORDER BY id
SETTINGS date_time_output_format = 'iso'
FORMAT JSONEachRow
