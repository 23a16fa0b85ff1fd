-- analysts/cluster/analyst_sites: which sites each analyst sees, on every node of a cluster.
--
-- Why      Policies are looked up where the rows are, and sites and analysts are on the first shard. To ask there from each
--          shard would cost every query of an analyst as many more as there are shards times shards. A node's own
--          copy, never replicated: each node makes it anew by itself.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`, on each node of a cluster
-- Params   own  Identifier  the database of the node's own tables
CREATE TABLE IF NOT EXISTS {own:Identifier}.analyst_sites
(
    analyst String COMMENT 'Name of the user of ClickHouse',
    id      String COMMENT 'A site of the tenant whose rows the user sees'
)
ENGINE = MergeTree
ORDER BY (analyst, id)
SETTINGS auto_statistics_types = ''
COMMENT 'Which sites each analyst sees; a copy that is renewed every 10 s'
