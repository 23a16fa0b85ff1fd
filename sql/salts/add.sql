-- salts/add: proposes a salt for a day; where the day has one already, nothing happens.
--
-- Why      The token is made from the day: of several workers that start together, the first one's salt is
--          stored and the others' are dropped by ClickHouse.
-- Serves   the hashing of visitors
-- Params   token  String  names the day and the attempt
--          day    String  the day, YYYY-MM-DD
--          salt   String   256 random bits, hex
INSERT INTO salts (day, salt)
SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = {token:String}
SELECT toDate({day:String}), {salt:String}
