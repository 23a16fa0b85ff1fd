-- cluster/sites: the table sites of the whole cluster; its rows are on the first shard.
--
-- Why      A Distributed table holds no rows, so it is made anew whenever the node's own table (0001) has changed.
-- Serves   the start of the service on a cluster; run in the database of the node's own tables
-- Params   whole    Identifier  the database that has the tables of the whole cluster
--          cluster  String      the cluster's name
--          shards   UInt32      how many shards the database is made for
CREATE OR REPLACE TABLE {whole:Identifier}.sites AS sites
ENGINE = Distributed({cluster:String}, currentDatabase(), sites, 0 % {shards:UInt32})
