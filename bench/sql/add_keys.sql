-- bench/add_keys: a reading and a writing key for each of the sites, and one that writes to all.
--
-- The tokens are ph_live_bench_read_N, ph_live_bench_write_N and ph_live_bench_write: for throw-away databases only.
--
-- Params   sites  UInt32  how many sites there are
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, updated_at)
SETTINGS async_insert = 0
SELECT
    concat('key_', hex(cityHash64(token))),
    'bench',
    lower(hex(SHA256(concat('ph_live_bench_', token)))),
    scope,
    site,
    now64(3, 'UTC') - toIntervalMinute(age) AS made_at,
    made_at
FROM
(
    SELECT arrayJoin(['read', 'write']) AS scope, concat(scope, '_', toString(number)) AS token, concat('site_', toString(number)) AS site, number AS age
    FROM numbers(1, {sites:UInt32})
    UNION ALL
    SELECT 'write', 'write', '', 0
)
