-- doctor/rights/insert: whether the user may do what INSERT stands for.
--
-- Serves   `pulsehouse doctor`; needed to store
-- Returns  1 or 0
CHECK GRANT INSERT ON *
