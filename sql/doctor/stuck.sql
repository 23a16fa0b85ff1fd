-- doctor/stuck: deletes that fail again and again, parts that ClickHouse has set aside as broken, copies not renewed.
--
-- Serves   `pulsehouse doctor`
-- Reads    system.mutations, system.detached_parts, system.view_refreshes
-- Returns  table, what (mutation, broken parts, refresh), detail (the reason, or how many)
-- Order    table, what, detail
SELECT table, what, detail
FROM
(
    SELECT table, 'mutation' AS what, substring(latest_fail_reason, 1, 200) AS detail
    FROM system.mutations
    WHERE database = currentDatabase() AND NOT is_done AND latest_fail_reason != ''

    UNION ALL

    SELECT table, 'broken parts' AS what, toString(count()) AS detail
    FROM system.detached_parts
    WHERE database = currentDatabase() AND startsWith(ifNull(reason, ''), 'broken')
    GROUP BY table

    UNION ALL

    -- What analysts/cluster/copy makes on each node of a cluster.
    SELECT view AS table, 'refresh' AS what, substring(exception, 1, 200) AS detail
    FROM system.view_refreshes
    WHERE database = currentDatabase() AND exception != ''
)
ORDER BY table, what, detail
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
