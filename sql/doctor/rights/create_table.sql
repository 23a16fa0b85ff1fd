-- doctor/rights/create_table: whether the user may do what CREATE TABLE stands for.
--
-- Serves   `pulsehouse doctor`; needed to migrate
-- Returns  1 or 0
CHECK GRANT CREATE TABLE ON *
