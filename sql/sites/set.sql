-- sites/set: changes a site; its owner and the time when it was added stay.
--
-- Why      The new row is newer than the old one even when the clock of ClickHouse has stepped back.
-- Serves   PATCH /api/sites/{id}, `pulsehouse site set`
-- Reads    sites (0001)
-- Params   id       String         the site's id; nothing is stored where there is none
--          domains  Array(String)  all its host names, lower case
--          name     String         its name for people
INSERT INTO sites (id, tenant, domains, name, created_at, addition, updated_at)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 0, deduplicate_insert = 'disable', deduplicate_insert_select = 'disable',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT
    id,
    tenant,
    {domains:Array(String)},
    {name:String},
    created_at,
    addition,
    greatest(now64(3, 'UTC'), updated_at + toIntervalMillisecond(1))
FROM sites FINAL
WHERE id = {id:String} AND removed_at IS NULL
