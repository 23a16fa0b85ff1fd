-- backup/from_disk: begins to restore a backup from a folder of a disk that backups.allowed_disk names, which may be an S3 bucket.
--
-- Why      All that is in it, as a backup of an older version has fewer tables. They come into a database of the name that
--          they had; ClickHouse refuses where one of them has rows. The views, which would fill the tables a second
--          time, come afterwards.
-- Serves   `pulsehouse database restore`
-- Params   disk  String  the name of a disk in ClickHouse's configuration
--          name  String  of the backup; a folder that it names
RESTORE ALL
FROM Disk({disk:String}, {name:String}) ASYNC
FORMAT Null
