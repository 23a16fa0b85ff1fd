-- cluster/unfit_tables: tables whose engine is not what the settings of the service demand.
--
-- Why      A database made for one machine holds its rows where a cluster has Distributed tables; a plain table among
--          replicas is on one of them alone; a Distributed table made for another number of shards finds nothing.
-- Serves   the start of the service
-- Reads    system.tables
-- Params   whole       String  the database that is asked
--          own         String  the database of the node's own tables; empty on one machine
--          cluster     String  the cluster's name; empty on one machine
--          shards      UInt32  how many shards it has
--          replicated  Bool    whether the node's own tables are to be replicated
-- Returns  name, engine, fitting (what it must be)
-- Order    name
SELECT
    concat(database, '.', name) AS name,
    engine_full AS engine,
    multiIf(
        database = {own:String} AND tables.engine LIKE '%MergeTree' AND startsWith(tables.engine, 'Replicated') != {replicated:Bool}
            AND tables.name != 'analyst_sites' AND NOT startsWith(tables.name, '.'), -- each node's own copy, and the next one
        if({replicated:Bool}, 'replicated', 'not replicated'),
        database = {whole:String} AND {cluster:String} = '' AND tables.engine = 'Distributed',
        'a table of its own: name the cluster in PULSEHOUSE_CLICKHOUSE_CLUSTER',
        database = {whole:String} AND {cluster:String} != '' AND tables.engine LIKE '%MergeTree' AND tables.name != 'schema_migrations',
        'Distributed: the database is of a single machine, choose another name',
        database = {whole:String} AND tables.engine = 'Distributed' AND NOT startsWith(engine_full, concat('Distributed(\'', {cluster:String}, '\'')),
        concat('of the cluster ', {cluster:String}, ': choose another name for the database'),
        database = {whole:String} AND tables.engine = 'Distributed' AND toUInt32OrZero(extract(engine_full, '%\\D+(\\d+)')) != {shards:UInt32},
        concat('made for ', toString({shards:UInt32}), ' shards: choose another name for the database'),
        ''
    ) AS fitting
FROM system.tables AS tables
WHERE database IN ({whole:String}, {own:String}) AND fitting != ''
ORDER BY name
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
