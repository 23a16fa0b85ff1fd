-- analysts/cluster/without_secret: the nodes that this one asks as another user than the one who asks.
--
-- Why      Without <secret> in remote_servers a shard is asked as `default`. ClickHouse adds the policies of who asked first,
--          but a node that has no such user, as it was down when the analyst was added, then shows all its rows.
--          7 is TCP_INTERSERVER: the node has proved that it knows the secret.
-- Serves   `pulsehouse analyst add --apply`, `pulsehouse analyst audit`, on each node of a cluster
-- Reads    system.processes of every node that can be reached
-- Params   cluster  String  the cluster's name in remote_servers
-- Returns  node (its host name and port)
-- Order    node
SELECT DISTINCT concat(hostName(), ':', toString(tcpPort())) AS node
FROM clusterAllReplicas({cluster:String}, system.processes)
WHERE NOT is_initial_query AND initial_query_id = initialQueryID() AND interface != 7
ORDER BY node
SETTINGS
    skip_unavailable_shards = 1,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0
FORMAT JSON
