-- analysts/own_name: an analyst sees of the analysts their own row.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    analysts (0012)
-- Params   database  Identifier  where the tables are
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {database:Identifier}.analysts
AS RESTRICTIVE USING name = currentUser()
TO pulsehouse_analyst
