-- backup/from_file: begins to restore a backup from a folder below backups.allowed_path.
--
-- Why      All that is in it, as a backup of an older version has fewer tables. They come into a database of the name that
--          they had; ClickHouse refuses where one of them has rows. The views, which would fill the tables a second
--          time, come afterwards.
-- Serves   `pulsehouse database restore`
-- Params   name  String  of the backup; a folder that it names
RESTORE ALL
FROM File({name:String}) ASYNC
FORMAT Null
