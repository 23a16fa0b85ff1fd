-- doctor/backup_log: the newest backup that the log of backups has, which a server keeps over its restarts.
--
-- Serves   `pulsehouse doctor`, where there is such a log
-- Reads    system.backup_log
-- Returns  newest (RFC 3339, UTC; 1970-01-01 where there is none); one row
SELECT maxIf(end_time, status = 'BACKUP_CREATED') AS newest
FROM system.backup_log
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
