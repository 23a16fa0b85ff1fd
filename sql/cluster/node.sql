-- cluster/node: which part of the cluster the node that is asked is.
--
-- Serves   the start of the service on a cluster, and its look at each node every second
-- Params   cluster  String  the cluster's name in remote_servers
-- Returns  shard, replica (from 1; 0 where the node is not of that cluster), shards, nodes (of all of it; 0 where there is
--          no such cluster), even Bool (all shards have the same weight)
-- Order    one row, always
SELECT
    maxIf(shard_num, is_local) AS shard,
    maxIf(replica_num, is_local) AS replica,
    max(shard_num) AS shards,
    count() AS nodes,
    (uniqExact(shard_weight) <= 1)::Bool AS even
FROM system.clusters
WHERE cluster = {cluster:String}
SETTINGS
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
