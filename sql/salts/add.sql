-- salts/add: proposes a salt for a day; where the day has one already, nothing happens.
--
-- Why      The token is made from the day: of several workers that start together, the first one's salt is
--          stored and the others' are dropped by ClickHouse.
-- Serves   the hashing of visitors
-- Params   token  String  names the day and the attempt
--          day    String  the day, YYYY-MM-DD
--          salt   String   256 random bits, hex
INSERT INTO salts (day, salt)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 1,
    deduplicate_insert = 'enable',
    deduplicate_insert_select = 'force_enable',
    insert_deduplication_token = {token:String},
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT toDate({day:String}), {salt:String}
