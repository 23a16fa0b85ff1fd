-- doctor/backups: the newest backup that this server remembers, and whether one has failed since.
--
-- Why      system.backups forgets with a restart; system.backup_log, where the server writes one, does not. A backup of
--          anything counts, as it may have been made from outside.
-- Serves   `pulsehouse doctor`
-- Reads    system.backups
-- Returns  newest (RFC 3339, UTC; 1970-01-01 where none is remembered), failed (the error of the newest, where that
--          has failed); one row
SELECT
    maxIf(end_time, status = 'BACKUP_CREATED') AS newest,
    extract(
        argMaxIf(error, start_time, status IN ('BACKUP_CREATED', 'BACKUP_FAILED')), 'DB::Exception: (.{1,200}?)(?: \\([A-Z_0-9]+\\)|, Stack trace|$)'
    ) AS failed
FROM system.backups
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
