-- doctor/server: what ClickHouse says of itself and of the session.
--
-- Serves   `pulsehouse doctor`
-- Returns  version, now (RFC 3339, UTC, milliseconds), time_zone of the server, session_time_zone of the user's
--          profile (empty where none is set), uptime_s since the server's start; one row
SELECT
    version() AS version,
    now64(3, 'UTC') AS now,
    serverTimezone() AS time_zone,
    getSetting('session_timezone') AS session_time_zone,
    uptime() AS uptime_s
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
