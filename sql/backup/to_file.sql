-- backup/to_file: begins a backup into a folder below backups.allowed_path.
--
-- Why      Tables alone: views are made again by the migrations. And not the salts: a backup is kept for months, and with
--          the salt of its day everybody who has it could tell that day's visitors by their addresses.
--          Nor the keys of requests, which are of use for an hour.
-- Serves   `pulsehouse database backup`
-- Params   name  String  of the backup; a folder that it names
BACKUP TABLE analysts, TABLE api_keys, TABLE recent_pageviews, TABLE schema_migrations, TABLE signals, TABLE sites, TABLE visitor_minutes
TO File({name:String}) ASYNC
FORMAT Null
