-- sites/digests: sums that tell a worker whether it knows every site and key as it is.
--
-- Serves   the directory that every worker keeps in memory, every 5 minutes
-- Reads    sites (0001), api_keys (0002)
-- Params   none
-- Returns  sites (of those that are not removed), keys (UInt64): sums of the digests in sites/list and keys/list, which wrap
-- Order    one row
SELECT
    (SELECT sum(cityHash64(id, updated_at)) FROM sites FINAL WHERE removed_at IS NULL) AS sites,
    (SELECT sum(cityHash64(id, updated_at)) FROM api_keys FINAL) AS keys
SETTINGS
    output_format_json_quote_64bit_integers = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
