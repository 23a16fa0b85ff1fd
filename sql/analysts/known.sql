-- analysts/known: whether there is a user of a name, and whether it is an analyst's.
--
-- Serves   `pulsehouse analyst add --apply`, `pulsehouse analyst remove --apply`
-- Reads    system.users, system.role_grants, for which a right is needed: SHOW ACCESS
-- Params   name  String  the user
-- Returns  analyst Bool (the user has the role of analysts); one row, none where there is no such user
SELECT (name IN (SELECT user_name FROM system.role_grants WHERE granted_role_name = 'pulsehouse_analyst'))::Bool AS analyst
FROM system.users
WHERE name = {name:String}
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0
FORMAT JSON
