-- sites/add: stores a new site.
--
-- Serves   `pulsehouse site add`, the demo
-- Params   id       String         the site's id
--          tenant   String         its owner
--          domains  Array(String)  its host names, lower case
--          name     String         its name for people
INSERT INTO sites (id, tenant, domains, name, created_at)
SETTINGS
    async_insert = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT {id:String}, {tenant:String}, {domains:Array(String)}, {name:String}, now64(3, 'UTC')
