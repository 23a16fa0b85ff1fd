-- analysts/cluster/copy: renews a node's copy of which sites each analyst sees, every 10 s and at once when it is made.
--
-- Why      A renewal that fails leaves the copy as it was. That shows nobody too much: a site stays with its tenant for good,
--          and a removed analyst has no user any more. Reads with the rights of whoever has made it.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`, on each node of a cluster
-- Reads    sites (0001), analysts (0012)
-- Params   own       Identifier  the database of the node's own tables
--          database  Identifier  that of the tables of the whole cluster
CREATE MATERIALIZED VIEW IF NOT EXISTS {own:Identifier}.analyst_sites_mv
REFRESH EVERY 10 SECOND
TO {own:Identifier}.analyst_sites
AS SELECT DISTINCT analysts.name AS analyst, sites.id AS id
FROM {database:Identifier}.sites AS sites
GLOBAL INNER JOIN (SELECT name, tenant FROM {database:Identifier}.analysts) AS analysts USING (tenant)
