-- bench/fill_sites: many sites, a hundred to each tenant.
--
-- Why      They are a day old: what was written in the last minute is read again with every refresh.
-- Params   sites  UInt64  how many
INSERT INTO sites (id, tenant, domains, name, updated_at)
SELECT
    concat('site_', lower(hex(cityHash64(number)))),
    concat('tenant ', toString(intDiv(number, 100))),
    [concat('www', toString(number), '.example.com')],
    concat('www', toString(number), '.example.com'),
    now64(3, 'UTC') - INTERVAL 1 DAY
FROM numbers({sites:UInt64})
