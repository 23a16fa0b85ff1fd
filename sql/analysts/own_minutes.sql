-- analysts/own_minutes: an analyst sees the minutes of the sites that they see.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    sites (0001), visitor_minutes (0005)
-- Params   own    Identifier  where the tables with the rows are: on a cluster those of the node
--          sites  Identifier  sites, under a policy of its own; on a cluster analyst_sites, as sites are on the first shard
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {own:Identifier}.visitor_minutes
AS RESTRICTIVE USING site IN (SELECT reinterpretAsUInt128(SHA256(id)) FROM {own:Identifier}.{sites:Identifier})
TO pulsehouse_analyst
