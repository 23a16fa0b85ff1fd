-- analysts/assign: says whose rows an analyst sees.
--
-- Serves   `pulsehouse analyst add`
-- Params   name    String  the user
--          tenant  String  the customer
INSERT INTO analysts (name, tenant)
SETTINGS
    async_insert = 0,
    -- who is removed and added again is not the same INSERT once more
    insert_deduplicate = 0, deduplicate_insert = 'disable', deduplicate_insert_select = 'disable',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT {name:String}, {tenant:String}
