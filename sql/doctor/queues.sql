-- doctor/queues: INSERTs that wait on the node that is asked for another shard.
--
-- Serves   `pulsehouse doctor` on a cluster
-- Reads    system.distribution_queue
-- Returns  table, files (INSERTs), error (the latest, empty where none)
-- Order    table
SELECT
    table,
    sum(data_files + broken_data_files) AS files,
    substring(anyLast(last_exception), 1, 200) AS error
FROM system.distribution_queue
WHERE database = currentDatabase()
GROUP BY table
HAVING files > 0
ORDER BY table
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
