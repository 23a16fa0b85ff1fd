-- bench/add_reader: a key that reads all sites; its token is ph_live_bench_read: for throw-away databases only.
--
-- Params   none
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, updated_at)
SETTINGS async_insert = 0
SELECT 'key_all', 'bench', lower(hex(SHA256('ph_live_bench_read'))), 'read', '', now64(3, 'UTC') AS made_at, made_at
