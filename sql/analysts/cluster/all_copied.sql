-- analysts/cluster/all_copied: analysts see of a node's copy what the policy after this one leaves them.
--
-- Why      As analysts/all_rows: without a policy that adds rows a server may hide all.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`, on each node of a cluster
-- Params   own      Identifier  the database of the node's own tables
--          service  Identifier  the service's own user
CREATE ROW POLICY OR REPLACE pulsehouse_all_rows ON {own:Identifier}.analyst_sites
USING 1
TO {service:Identifier}, pulsehouse_analyst
