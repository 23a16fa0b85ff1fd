-- analysts/own_name: an analyst sees of the analysts their own row.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    analysts (0012)
-- Params   own  Identifier  where the tables with the rows are: on a cluster those of the node
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {own:Identifier}.analysts
AS RESTRICTIVE USING name = currentUser()
TO pulsehouse_analyst
