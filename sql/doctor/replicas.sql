-- doctor/replicas: the node's tables with replicas, and how far they are.
--
-- Serves   `pulsehouse doctor` on a cluster
-- Reads    system.replicas, which asks Keeper
-- Returns  table, read_only Bool, delay_s (behind the replica that is furthest), active and total (replicas)
-- Order    table
SELECT
    table,
    is_readonly::Bool AS read_only,
    absolute_delay AS delay_s,
    active_replicas AS active,
    total_replicas AS total
FROM system.replicas
WHERE database = currentDatabase()
ORDER BY table
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
