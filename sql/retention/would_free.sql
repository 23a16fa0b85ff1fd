-- retention/would_free: what leaves with other days of keeping.
--
-- Serves   `pulsehouse database retention`
-- Reads    system.parts
-- Params   signal_days  UInt32  days that signals are kept
--          minute_days  UInt32  days that visitor_minutes are kept
-- Returns  table, days (that leave), bytes (on disk)
-- Order    table
SELECT table, uniqExact(partition) AS days, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = currentDatabase() AND (
    -- A day leaves when its last second has had its time.
    (table = 'signals' AND toDateOrZero(partition) < toDate(now('UTC')) - {signal_days:UInt32})
    OR (table = 'visitor_minutes' AND toDateOrZero(partition) < toDate(now('UTC')) - {minute_days:UInt32})
)
GROUP BY table
ORDER BY table
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
