-- doctor/rights/create_view: whether the user may do what CREATE VIEW stands for.
--
-- Serves   `pulsehouse doctor`; needed to migrate
-- Returns  1 or 0
CHECK GRANT CREATE VIEW ON *
