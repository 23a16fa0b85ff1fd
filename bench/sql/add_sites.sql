-- bench/add_sites: sites site_1 ... site_N of one tenant.
--
-- Params   sites  UInt32  how many
INSERT INTO sites (id, tenant, domains, name, created_at, updated_at)
SETTINGS async_insert = 0
SELECT
    concat('site_', toString(number + 1)),
    'bench',
    [concat('site-', toString(number + 1), '.example')],
    concat('Site ', toString(number + 1)),
    now64(3, 'UTC') - toIntervalMinute(number) AS made_at,
    made_at
FROM numbers({sites:UInt32})
