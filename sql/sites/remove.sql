-- sites/remove: removes a site; of it its id, owner and times stay, so that workers learn of it and nobody else takes the id.
--
-- Serves   DELETE /api/sites/{id}, `pulsehouse site remove`
-- Reads    sites (0001)
-- Params   id  String  the site's id; nothing is stored where there is none
INSERT INTO sites (id, tenant, domains, name, created_at, removed_at, addition, updated_at)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 0, deduplicate_insert = 'disable', deduplicate_insert_select = 'disable',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT id, tenant, [], '', created_at, now64(3, 'UTC'), addition, greatest(now64(3, 'UTC'), updated_at + toIntervalMillisecond(1))
FROM sites FINAL
WHERE id = {id:String} AND removed_at IS NULL
