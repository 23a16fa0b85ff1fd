-- sites/list: the sites that were added, changed or removed lately.
--
-- Serves   the directory that every worker keeps in memory, `pulsehouse site list`
-- Reads    sites (0001)
-- Params   since    DateTime64(3, 'UTC')  the newest row known; rows of the last 60 s come again, as one may commit late
--          cluster  String            the cluster whose shards are meant; empty on one machine
-- Returns  id, tenant, domains, name, created_at, removed_at, cleared_at and updated_at (RFC 3339, UTC), shard (from 0),
--          digest (see sites/digests)
-- Order    id
WITH greatest(1, (SELECT max(shard_num) FROM system.clusters WHERE cluster = {cluster:String})) AS shards
SELECT
    id, tenant, domains, name, created_at, removed_at, cleared_at, updated_at,
    reinterpretAsUInt64(SHA256(id)) % shards AS shard, -- as in sql/cluster/signals.sql
    cityHash64(id, updated_at) AS digest
FROM sites FINAL
WHERE updated_at > {since:DateTime64(3, 'UTC')} OR updated_at >= now64(3, 'UTC') - toIntervalSecond(60)
ORDER BY id
SETTINGS
    date_time_output_format = 'iso',
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
