-- salts/list: the salts in use, and which of them have served by ClickHouse's clock.
--
-- Serves   the hashing of visitors
-- Reads    salts (0003)
-- Params   kept_minutes  UInt32  how long a salt is kept after its day
-- Returns  day, salt (hex), served Bool
-- Order    day
SELECT day, salt, (day < toDate(now('UTC') - toIntervalMinute({kept_minutes:UInt32})))::Bool AS served
FROM salts
ORDER BY day
FORMAT JSONEachRow
