-- doctor/rights/backup: whether the user may do what BACKUP stands for.
--
-- Serves   `pulsehouse doctor`; needed to back up
-- Returns  1 or 0
CHECK GRANT BACKUP ON *
