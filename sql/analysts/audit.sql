-- analysts/audit: what lets a user of ClickHouse see more than the rows of one tenant.
--
-- Why      By default a policy restricts those whom it names, and everybody else sees all rows. Administrators, who may create
--          users, and the user who asks are left out.
-- Serves   `pulsehouse analyst audit`
-- Reads    analysts (0012), and who may what, for which a right is needed: SHOW ACCESS
-- Params   own  String  the database of the tables with the rows: on a cluster those of the node that is asked
-- Returns  finding   no_policy: the tables of which they see all rows; open_view: a view that reads with another user's rights;
--                    more_than_reading: the rights that a user with a policy has besides; no_tenant: an analyst who
--                    sees nothing; no_user: whose rows nobody sees; several_tenants: whose rows one analyst sees
--          who       the user or role; empty where it does not depend on one
--          what      names of tables, views, rights or tenants
-- Order    finding, who, what
WITH
    roles_of AS
    (
        SELECT user_name AS name, groupArray(granted_role_name) AS roles
        FROM system.role_grants
        WHERE user_name != ''
        GROUP BY name
    ),
    rights AS
    (
        SELECT
            ifNull(user_name, role_name) AS who,
            toString(access_type) AS access,
            ifNull(database, '') AS database,
            ifNull(table, '') AS table
        FROM system.grants
        WHERE NOT is_partial_revoke
    ),
    administrators AS (SELECT who FROM rights WHERE access IN ('ALL', 'ACCESS MANAGEMENT', 'CREATE USER')),
    tables_here AS
    (
        SELECT
            database,
            name,
            engine LIKE '%MergeTree' AS holds_rows,
            match(create_table_query, 'SQL SECURITY (DEFINER|NONE)') OR definer != '' AS is_open
        FROM system.tables
        WHERE database IN (currentDatabase(), {own:String})
    ),
    readable AS
    (
        SELECT DISTINCT rights.who AS who, tables_here.name AS table, holds_rows, is_open
        FROM rights CROSS JOIN tables_here
        WHERE access IN ('ALL', 'SELECT')
          AND rights.database IN ('', tables_here.database)
          AND rights.table IN ('', tables_here.name)
          AND who NOT IN (SELECT who FROM administrators)
          AND who != currentUser()
    ),
    policies AS
    (
        SELECT table, apply_to_all, apply_to_list, apply_to_except
        FROM system.row_policies
        WHERE database = {own:String} AND ifNull(select_filter, '') != '1' -- which hides nothing
    ),
    named AS
    (
        SELECT arrayJoin(apply_to_list) AS who FROM policies
        UNION DISTINCT
        SELECT name FROM roles_of WHERE hasAny(roles, (SELECT groupUniqArrayArray(apply_to_list) FROM policies))
    ),
    policed AS
    (
        SELECT readable.who AS who, readable.table AS table
        FROM readable
        CROSS JOIN policies
        LEFT JOIN roles_of ON roles_of.name = readable.who
        WHERE policies.table IN ('', readable.table)
          AND (
              hasAny(apply_to_list, arrayPushBack(roles_of.roles, readable.who))
              OR (apply_to_all AND NOT hasAny(apply_to_except, arrayPushBack(roles_of.roles, readable.who)))
          )
    )
SELECT finding, who, what
FROM
(
    SELECT 'no_policy' AS finding, who, arrayStringConcat(arraySort(groupArray(table)), ', ') AS what
    FROM readable
    WHERE holds_rows AND (who, table) NOT IN (SELECT who, table FROM policed)
    GROUP BY who
    UNION ALL
    SELECT 'open_view', who, table
    FROM readable
    WHERE is_open
    UNION ALL
    SELECT 'more_than_reading', who, arrayStringConcat(arraySort(groupUniqArray(access)), ', ')
    FROM rights
    WHERE who IN (SELECT who FROM named) AND who NOT IN (SELECT who FROM administrators) AND who != currentUser()
      AND access != 'SELECT'
    GROUP BY who
    UNION ALL
    SELECT 'no_tenant', name, ''
    FROM roles_of
    WHERE has(roles, 'pulsehouse_analyst') AND name NOT IN (SELECT name FROM analysts)
    UNION ALL
    SELECT 'no_user', name, arrayStringConcat(arraySort(groupArray(tenant)), ', ')
    FROM analysts
    WHERE name GLOBAL NOT IN (SELECT name FROM system.users) -- those of the node that is asked
    GROUP BY name
    UNION ALL
    SELECT 'several_tenants', name, arrayStringConcat(arraySort(groupUniqArray(tenant)), ', ')
    FROM analysts
    GROUP BY name
    HAVING uniqExact(tenant) > 1
)
ORDER BY finding, who, what
SETTINGS
    join_use_nulls = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0
FORMAT JSON
