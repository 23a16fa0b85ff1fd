-- doctor/rights/alter_ttl: whether the user may do what ALTER TTL stands for.
--
-- Serves   `pulsehouse doctor`; needed to change the retention
-- Returns  1 or 0
CHECK GRANT ALTER TTL ON *
