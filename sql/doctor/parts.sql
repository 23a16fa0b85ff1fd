-- doctor/parts: how many parts each table has, and how much of the disk.
--
-- Why      ClickHouse slows INSERTs down, and then refuses them, when a partition has too many parts: merges do not keep
--          up, or do not run.
-- Serves   `pulsehouse doctor`
-- Reads    system.parts, system.tables, system.merge_tree_settings
-- Returns  table, most_parts (active ones, of the partition that has most), slowed_from (so many slow INSERTs down),
--          bytes (on disk), oldest and newest (days that there are rows of, empty where the table has no days)
-- Order    table
SELECT
    table,
    max(parts_of_partition) AS most_parts,
    any(slowed_from) AS slowed_from,
    sum(bytes_of_partition) AS bytes,
    minIf(partition, partition != 'tuple()') AS oldest,
    max(partition) AS newest
FROM
(
    SELECT table, partition, count() AS parts_of_partition, sum(bytes_on_disk) AS bytes_of_partition
    FROM system.parts
    WHERE active AND database = currentDatabase()
    GROUP BY table, partition
) AS partitions
INNER JOIN
(
    SELECT
        name AS table,
        toUInt64OrZero(extract(engine_full, 'parts_to_delay_insert = (\\d+)')) AS own,
        if(own > 0, own, (SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert'))
            AS slowed_from
    FROM system.tables
    WHERE database = currentDatabase()
) AS tables USING (table)
GROUP BY table
ORDER BY table
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
