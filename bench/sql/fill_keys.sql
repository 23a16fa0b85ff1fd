-- bench/fill_keys: two keys to each of many sites.
--
-- Why      They are a day old: what was written in the last minute is read again with every refresh.
-- Params   keys  UInt64  how many
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, updated_at)
SELECT
    concat('key_', lower(hex(cityHash64(number)))),
    concat('tenant ', toString(intDiv(number, 200))),
    lower(hex(SHA256(toString(number)))),
    'read',
    '',
    now64(3, 'UTC'),
    now64(3, 'UTC') - INTERVAL 1 DAY
FROM numbers({keys:UInt64})
