-- salts/list: the salts in use.
--
-- Serves   the hashing of visitors
-- Reads    salts (0003)
-- Returns  day, salt (hex)
-- Order    day
SELECT day, salt
FROM salts
ORDER BY day
FORMAT JSONEachRow
