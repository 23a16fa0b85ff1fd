-- doctor/rights/select: whether the user may do what SELECT stands for.
--
-- Serves   `pulsehouse doctor`; needed to answer
-- Returns  1 or 0
CHECK GRANT SELECT ON *
