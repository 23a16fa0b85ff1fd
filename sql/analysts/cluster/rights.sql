-- analysts/cluster/rights: the node's own tables, which a query over the whole cluster reads there as whoever asks.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`, on each node of a cluster
-- Params   own  Identifier  the database of the node's own tables
GRANT
    SELECT(name, tenant) ON {own:Identifier}.analysts,
    SELECT(analyst, id) ON {own:Identifier}.analyst_sites,
    SELECT(id, tenant, name, domains, removed_at) ON {own:Identifier}.sites,
    SELECT ON {own:Identifier}.signals,
    SELECT ON {own:Identifier}.visitor_minutes
TO pulsehouse_analyst
