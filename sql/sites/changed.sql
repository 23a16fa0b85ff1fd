-- sites/changed: the sites that were added, changed or removed lately.
--
-- Why      The ids first: FINAL over the whole table, of which this is asked every second, would grow with all sites.
-- Serves   the directory that every worker keeps in memory
-- Reads    sites (0001)
-- Params   since_ms  Int64   the newest row known, Unix time; rows of the last 60 s come again, as one may commit late
--          cluster   String  the cluster whose shards are meant; empty on one machine
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
WHERE id IN
(
    SELECT id
    FROM sites
    WHERE updated_at > least(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), now64(3, 'UTC') - toIntervalSecond(60))
)
ORDER BY id
SETTINGS
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0, set_overflow_mode = 'throw'
FORMAT JSONCompact
