-- analysts/own_sites: an analyst sees the sites of their tenant; none without a row in analysts.
--
-- Why      Restrictive, so that no other policy can add rows. The table is named with its database, since a policy's names
--          are looked up where the analyst is.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    analysts (0012), sites (0001)
-- Params   own  Identifier  where the tables with the rows are: on a cluster those of the node
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {own:Identifier}.sites
AS RESTRICTIVE USING tenant IN (SELECT tenant FROM {own:Identifier}.analysts WHERE name = currentUser())
TO pulsehouse_analyst
