-- track/find_key: when a request with an Idempotency-Key was first received, and with which body.
--
-- Serves   POST /api/track with an Idempotency-Key
-- Reads    request_keys (0020)
-- Params   id  String  as in request_keys
-- Returns  received_at (RFC 3339, UTC), body_sha256; no row where the request is older than the table remembers
-- Order    the first one
SELECT received_at, body_sha256
FROM request_keys
WHERE id = {id:String}
ORDER BY received_at, body_sha256
LIMIT 1
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
