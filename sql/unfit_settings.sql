-- unfit_settings: settings of the ClickHouse user under which statements fail, and which no SETTINGS of theirs undo.
--
-- Why      Every other setting that would change what is answered or stored is set by the statements themselves.
-- Serves   the start of the service, `pulsehouse migrate`
-- Reads    system.settings
-- Returns  name, value, fitting (what it must be)
-- Order    name
SELECT
    name,
    value,
    transform(
        name,
        [
            'aggregate_functions_null_for_empty',
            'enable_global_with_statement',
            'http_max_field_value_size', -- the ids of one statement, app/store/reads.py
            'implicit_table_at_top_level',
            'inject_random_order_for_select_without_order_by'
        ],
        ['0', '1', 'at least 131072', 'empty', '0'],
        ''
    ) AS fitting
FROM system.settings
WHERE changed AND fitting != '' AND NOT (
    value = fitting
    OR (fitting = 'empty' AND value = '')
    OR (fitting LIKE 'at least %' AND toUInt64OrZero(value) >= toUInt64OrZero(splitByChar(' ', fitting)[3]))
)
ORDER BY name
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
