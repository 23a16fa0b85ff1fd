-- backup/progress: how far the latest backup or restore of a name is.
--
-- Serves   `pulsehouse database backup`, `pulsehouse database restore`
-- Reads    system.backups
-- Params   place  String  File('name') or Disk('disk', 'name'), as ClickHouse writes it
-- Returns  status (CREATING_BACKUP, BACKUP_CREATED, BACKUP_FAILED, BACKUP_CANCELLED and the same of RESTORE), error,
--          bytes (of the tables), files; one row, none where nothing of the name was begun
SELECT status, error, total_size AS bytes, num_files AS files
FROM system.backups
WHERE name = {place:String}
ORDER BY start_time DESC, id
LIMIT 1
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
