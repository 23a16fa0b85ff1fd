-- analysts/all_rows: the service sees all rows, and analysts what the policies after this one leave them.
--
-- Why      Once a table has a policy, a server may hide its rows from whoever has none that adds rows
--          (users_without_row_policies_can_read_rows = false). The service would then answer zero; so this one comes first.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    sites (0001), signals (0004), visitor_minutes (0005), analysts (0012)
-- Params   own      Identifier  where the tables with the rows are: on a cluster those of the node
--          service  Identifier  the service's own user
CREATE ROW POLICY OR REPLACE pulsehouse_all_rows ON
    {own:Identifier}.analysts,
    {own:Identifier}.sites,
    {own:Identifier}.signals,
    {own:Identifier}.visitor_minutes
USING 1
TO {service:Identifier}, pulsehouse_analyst
