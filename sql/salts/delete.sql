-- salts/delete: removes the salt of a day, for good; nothing where there is none.
--
-- Why      Dropping a partition is done at once and waits for no merge, as a mutation would.
-- Serves   the hashing of visitors
-- Params   day  String  YYYY-MM-DD
ALTER TABLE salts DROP PARTITION {day:String}
