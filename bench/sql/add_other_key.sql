-- bench/add_other_key: a reading key of another tenant; its token is ph_live_bench_other: for throw-away databases only.
--
-- Params   none
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, updated_at)
SETTINGS async_insert = 0
SELECT 'key_other', 'other', lower(hex(SHA256('ph_live_bench_other'))), 'read', '', now64(3, 'UTC') AS made_at, made_at
