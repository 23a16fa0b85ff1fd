-- analysts/cluster/own_copied: an analyst sees of a node's copy their own sites.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`, on each node of a cluster
-- Params   own  Identifier  the database of the node's own tables
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {own:Identifier}.analyst_sites
AS RESTRICTIVE USING analyst = currentUser()
TO pulsehouse_analyst
