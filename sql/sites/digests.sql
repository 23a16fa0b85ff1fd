-- sites/digests: sums that tell a worker whether it knows every site and key as it is, of each bucket of ids.
--
-- Why      A bucket's sum grows with every change of one of its rows, so what a worker has missed can never cancel out
--          with anything but a row that it knows and ClickHouse does not. The checksum keeps also that from happening.
-- Serves   the directory that every worker keeps in memory, at its start and every 5 minutes
-- Reads    sites (0001), api_keys (0002)
-- Params   of  UInt32  how many buckets there are
-- Returns  of ('sites', 'keys'), bucket, rows, newest_ms (Unix time), digest (UInt64, a sum that wraps; of sites those whose
--          rows are deleted are left out); no row for an empty bucket
-- Order    none
SELECT
    'sites' AS of,
    CRC32(id) % {of:UInt32} AS bucket,
    count() AS rows,
    max(toUnixTimestamp64Milli(updated_at)) AS newest_ms,
    sumIf(CRC32(id) * toUInt64(toUnixTimestamp64Milli(updated_at)), cleared_at IS NULL) AS digest
FROM sites FINAL
GROUP BY bucket
UNION ALL
SELECT
    'keys' AS of,
    CRC32(id) % {of:UInt32} AS bucket,
    count() AS rows,
    max(toUnixTimestamp64Milli(updated_at)) AS newest_ms,
    sum(CRC32(id) * toUInt64(toUnixTimestamp64Milli(updated_at))) AS digest
FROM api_keys FINAL
GROUP BY bucket
SETTINGS
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0, group_by_overflow_mode = 'throw'
FORMAT JSON
