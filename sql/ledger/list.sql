-- ledger/list: the migrations that this database has seen.
--
-- Serves   the start of the service, `pulsehouse migrate`
-- Reads    schema_migrations
-- Returns  version, name, sha256
-- Order    version
SELECT version, name, sha256
FROM schema_migrations FINAL
ORDER BY version
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
