-- analysts/own_signals: an analyst sees the signals of the sites that they see.
--
-- Why      The subquery runs as the analyst and is filtered itself, so a new site of the tenant is seen at once.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    sites (0001), signals (0004)
-- Params   own    Identifier  where the tables with the rows are: on a cluster those of the node
--          sites  Identifier  sites, under a policy of its own; on a cluster analyst_sites, as sites are on the first shard
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {own:Identifier}.signals
AS RESTRICTIVE USING site_id IN (SELECT id FROM {own:Identifier}.{sites:Identifier})
TO pulsehouse_analyst
