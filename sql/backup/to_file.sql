-- backup/to_file: begins a backup into a folder below backups.allowed_path.
--
-- Why      Tables alone: views are made again by the migrations. And not the salts: a backup is kept for months, and with
--          the salt of its day everybody who has it could tell that day's visitors by their addresses.
--          Nor the keys of requests, which are of use for an hour.
-- Serves   `pulsehouse database backup`
-- Params   name      String      of the backup; a folder that it names
--          own       Identifier  the database of the tables with the rows: on a cluster those of one shard
--          database  Identifier  that of the ledger
BACKUP
    TABLE {own:Identifier}.analysts,
    TABLE {own:Identifier}.api_keys,
    TABLE {own:Identifier}.recent_pageviews,
    TABLE {own:Identifier}.signals,
    TABLE {own:Identifier}.sites,
    TABLE {own:Identifier}.visitor_minutes,
    TABLE {database:Identifier}.schema_migrations
TO File({name:String}) ASYNC
FORMAT Null
