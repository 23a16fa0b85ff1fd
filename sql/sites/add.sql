-- sites/add: stores new sites, all or none; nothing where another addition has the number.
--
-- Serves   POST /api/sites, `pulsehouse site add` and `import`, the demo
-- Params   token  String  the number of the addition
-- Rows     id, tenant, domains, name, addition
INSERT INTO sites (id, tenant, domains, name, addition)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 1,
    deduplicate_insert = 'enable',
    insert_deduplication_token = {token:String},
    max_insert_threads = 1,
    input_format_parallel_parsing = 0,
    input_format_allow_errors_num = 0,
    input_format_allow_errors_ratio = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
FORMAT JSONEachRow
