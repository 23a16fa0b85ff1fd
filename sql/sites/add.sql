-- sites/add: stores new sites, all or none.
--
-- Serves   POST /api/sites, `pulsehouse site add` and `import`, the demo
-- Rows     id, tenant, domains, name
INSERT INTO sites (id, tenant, domains, name)
SETTINGS
    async_insert = 0,
    input_format_parallel_parsing = 0,
    input_format_allow_errors_num = 0,
    input_format_allow_errors_ratio = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
FORMAT JSONEachRow
