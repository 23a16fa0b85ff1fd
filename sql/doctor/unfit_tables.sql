-- doctor/unfit_tables: what of the tables is not as exactly-once and the answers need it.
--
-- Why      Tables may be made or changed by hand. Not all of a schema matters equally: this is what no test of ours
--          covers once it is different: the engine that merges rows, the keys that a window is found by, the inserts that
--          a table remembers, and that the views fill the tables. A migration that changes one of them changes this too.
-- Serves   `pulsehouse doctor`
-- Reads    system.tables
-- Returns  table, what (engine, sorting key, partition key, deduplication window, target, filled by), value, fitting
--          (what it must be)
-- Order    table, what
WITH
    [
        ('analysts', 'MergeTree', 'name', '', 0),
        ('api_keys', 'ReplacingMergeTree', 'id', '', 0),
        ('recent_pageviews', 'AggregatingMergeTree', 'site, minute', 'toDate(minute)', 10000),
        ('request_keys', 'MergeTree', 'id', '', 100000),
        ('salts', 'MergeTree', 'day', 'day', 1000),
        ('schema_migrations', 'ReplacingMergeTree', 'version', '', 0),
        ('signals', 'MergeTree', 'site_id, timestamp', 'toDate(timestamp)', 10000),
        ('sites', 'ReplacingMergeTree', 'id', '', 0),
        ('visitor_minutes', 'AggregatingMergeTree', 'site, minute, visitor_id', 'toDate(minute)', 10000)
    ]::Array(Tuple(String, String, String, String, UInt64)) AS tables_needed,
    [('recent_pageviews_mv', 'recent_pageviews'), ('visitor_minutes_mv', 'visitor_minutes')] AS views_needed
SELECT table, wrong.1 AS what, wrong.2 AS value, wrong.3 AS fitting
FROM
(
    SELECT
        name AS table,
        arrayFirst(needed -> needed.1 = name, tables_needed) AS needed,
        arrayJoin([
            ('engine', replaceOne(engine, 'Replicated', ''), needed.2), -- a replica has a window of its own setting
            ('sorting key', sorting_key, needed.3),
            ('partition key', partition_key, needed.4),
            ('deduplication window', extract(engine_full, 'non_replicated_deduplication_window = (\\d+)'), toString(needed.5))
        ]) AS wrong
    FROM system.tables
    WHERE database = currentDatabase() AND has(tables_needed.1, name)
        AND multiIf(
            wrong.1 != 'deduplication window', wrong.2 != wrong.3,
            startsWith(engine, 'Replicated'), 0,
            toUInt64OrZero(wrong.2) < toUInt64(wrong.3)
        )

    UNION ALL

    SELECT
        name AS table,
        (name, '', '', '', 0) AS needed,
        (
            'target',
            extract(create_table_query, ' TO (\\S+)'),
            concat(currentDatabase(), '.', arrayFirst(needed -> needed.1 = name, views_needed).2)
        ) AS wrong
    FROM system.tables
    WHERE database = currentDatabase() AND has(views_needed.1, name) AND replaceAll(wrong.2, '`', '') != wrong.3

    UNION ALL

    -- What RENAME DATABASE leaves behind: views of the renamed database that still fill the tables of the former name.
    SELECT
        arrayFirst(needed -> concat(currentDatabase(), '.', needed.2) = target, views_needed).2 AS table,
        (name, '', '', '', 0) AS needed,
        ('filled by', concat(database, '.', name), 'one view alone') AS wrong
    FROM
    (
        SELECT database, name, replaceAll(extract(create_table_query, ' TO (\\S+)'), '`', '') AS target
        FROM system.tables
        WHERE engine = 'MaterializedView'
    )
    WHERE table != '' AND NOT (database = currentDatabase() AND has(views_needed.1, name))
)
ORDER BY table, what
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
