-- doctor/rights/alter_delete: whether the user may do what ALTER DELETE stands for.
--
-- Serves   `pulsehouse doctor`; needed to delete the salts that have served and the rows of removed sites
-- Returns  1 or 0
CHECK GRANT ALTER DELETE ON *
