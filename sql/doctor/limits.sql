-- doctor/limits: limits of the user's profile under which a statement may fail.
--
-- Why      A statement above a limit fails, which callers see as 503. Memory is named only where it is so little that a
--          site of middling size is too large.
-- Serves   `pulsehouse doctor`
-- Reads    system.settings
-- Returns  name, value
-- Order    name
SELECT name, value
FROM system.settings
WHERE changed AND toUInt64OrZero(value) > 0 AND (
    name IN (
        'max_bytes_to_read', 'max_bytes_to_read_leaf', 'max_bytes_in_set', 'max_bytes_to_sort', 'max_columns_to_read',
        'max_result_bytes', 'max_result_rows', 'max_rows_in_set', 'max_rows_to_group_by', 'max_rows_to_read',
        'max_rows_to_read_leaf', 'max_rows_to_sort', 'max_partitions_to_read', 'max_temporary_columns',
        'max_network_bandwidth', 'max_network_bandwidth_for_user', 'max_network_bandwidth_for_all_users'
    )
    OR (name IN ('max_memory_usage', 'max_memory_usage_for_user') AND toUInt64OrZero(value) < 500000000)
)
ORDER BY name
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
