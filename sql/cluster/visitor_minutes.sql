-- cluster/visitor_minutes: the table visitor_minutes of the whole cluster; all rows of a site are on one shard.
--
-- Why      A Distributed table holds no rows, so it is made anew whenever the node's own table (0005) has changed. The
--          number of shards is written into it: a cluster that grows later leaves every site where it is. The shard of
--          a site is told by the same bits of its id's SHA-256 in each table and in sites/list.
-- Serves   the start of the service on a cluster; run in the database of the node's own tables
-- Params   whole    Identifier  the database that has the tables of the whole cluster
--          cluster  String      the cluster's name
--          shards   UInt32      how many shards the database is made for
CREATE OR REPLACE TABLE {whole:Identifier}.visitor_minutes AS visitor_minutes
ENGINE = Distributed({cluster:String}, currentDatabase(), visitor_minutes, toUInt64(site) % {shards:UInt32})
