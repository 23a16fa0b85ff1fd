-- backup/from_file: begins to restore a backup from a folder below backups.allowed_path.
--
-- Why      The database must be empty, and have the name that it had. The views, which would fill the tables a second
--          time, come afterwards.
-- Serves   `pulsehouse database restore`
-- Params   name  String  of the backup; a folder that it names
RESTORE TABLE analysts, TABLE api_keys, TABLE recent_pageviews, TABLE schema_migrations, TABLE signals, TABLE sites, TABLE visitor_minutes
FROM File({name:String}) ASYNC
FORMAT Null
