-- doctor/shards: asks a replica of every shard through the node that is asked; fails where one cannot be reached.
--
-- Serves   `pulsehouse doctor` on a cluster
-- Reads    analysts (0012), which is small
-- Returns  analysts; one row
SELECT count() AS analysts
FROM analysts
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
