-- sites/in_buckets: all sites of some buckets of ids, removed ones included.
--
-- Serves   the directory that every worker keeps in memory, where sites/digests shows that it does not know them
-- Reads    sites (0001)
-- Params   of       UInt32         how many buckets there are
--          buckets  Array(UInt32)  which ones
--          cluster  String         the cluster whose shards are meant; empty on one machine
-- Returns  id, tenant, domains, name, shard (from 0), updated_ms (Unix time), removed Bool, cleared Bool
-- Order    id
WITH greatest(1, (SELECT max(shard_num) FROM system.clusters WHERE cluster = {cluster:String})) AS shards
SELECT
    id,
    tenant,
    domains,
    name,
    reinterpretAsUInt64(SHA256(id)) % shards AS shard, -- as in sql/cluster/signals.sql
    toUnixTimestamp64Milli(updated_at) AS updated_ms,
    (removed_at IS NOT NULL)::Bool AS removed,
    (cleared_at IS NOT NULL)::Bool AS cleared
FROM sites FINAL
WHERE CRC32(id) % {of:UInt32} IN {buckets:Array(UInt32)}
ORDER BY id
SETTINGS
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSONCompact
