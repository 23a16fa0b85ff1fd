-- analysts/unassign: takes an analyst's tenant away; whoever has that name sees no rows from then on.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst remove`
-- Params   name  String  the user
DELETE FROM analysts WHERE name = {name:String}
