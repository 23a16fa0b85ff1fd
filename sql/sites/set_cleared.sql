-- sites/set_cleared: notes that the rows of removed sites are deleted; nothing for one that was added again meanwhile.
--
-- Serves   the deletion of their rows
-- Reads    sites (0001)
-- Params   ids  Array(String)  the removed sites
INSERT INTO sites (id, tenant, domains, name, created_at, removed_at, cleared_at, addition, updated_at)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 0, deduplicate_insert = 'disable', deduplicate_insert_select = 'disable',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT id, tenant, [], '', created_at, removed_at, now64(3, 'UTC'), addition, updated_at + toIntervalMillisecond(1)
FROM sites FINAL
WHERE id IN {ids:Array(String)} AND removed_at IS NOT NULL AND cleared_at IS NULL
