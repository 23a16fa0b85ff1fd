-- salts/delete: removes the salts of days before a day, for good.
--
-- Serves   the hashing of visitors
-- Params   day  String  the first day whose salt is kept, YYYY-MM-DD
ALTER TABLE salts DELETE WHERE day < toDate({day:String})
SETTINGS mutations_sync = 1
