-- backup/from_disk: begins to restore a backup from a folder of a disk that backups.allowed_disk names, which may be an S3 bucket.
--
-- Why      The database must be empty, and have the name that it had. The views, which would fill the tables a second
--          time, come afterwards.
-- Serves   `pulsehouse database restore`
-- Params   disk  String  the name of a disk in ClickHouse's configuration
--          name  String  of the backup; a folder that it names
RESTORE TABLE analysts, TABLE api_keys, TABLE recent_pageviews, TABLE schema_migrations, TABLE signals, TABLE sites, TABLE visitor_minutes
FROM Disk({disk:String}, {name:String}) ASYNC
FORMAT Null
