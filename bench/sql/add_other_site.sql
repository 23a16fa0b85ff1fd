-- bench/add_other_site: a site of another tenant.
--
-- Params   none
INSERT INTO sites (id, tenant, domains, name, created_at, updated_at)
SETTINGS async_insert = 0
SELECT 'site_other', 'other', ['other.example'], 'Other', now64(3, 'UTC') AS made_at, made_at
