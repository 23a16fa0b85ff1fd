-- doctor/disks: the disks that the tables are on, and how much a day takes.
--
-- Serves   `pulsehouse doctor`
-- Reads    system.disks, system.parts
-- Returns  name, free_bytes, total_bytes, bytes_a_day (of our tables, on all disks, over the last 7 whole days)
-- Order    name
SELECT
    name,
    free_space AS free_bytes,
    total_space AS total_bytes,
    (
        SELECT intDiv(sum(bytes_on_disk), 7)
        FROM system.parts
        WHERE active AND database = currentDatabase()
            AND toDateOrZero(partition) BETWEEN toDate(now('UTC')) - 7 AND toDate(now('UTC')) - 1
    ) AS bytes_a_day
FROM system.disks
WHERE type = 'Local' AND name IN (SELECT disk_name FROM system.parts WHERE active AND database = currentDatabase())
ORDER BY name
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
