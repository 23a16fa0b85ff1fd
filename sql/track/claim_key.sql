-- track/claim_key: notes when a request with an Idempotency-Key was received; nothing where that is known already.
--
-- Why      The id is the deduplication token: of attempts on several workers the first one's row is stored, and all
--          read that one (track/find_key).
-- Serves   POST /api/track with an Idempotency-Key
-- Params   token  String  the id of the row
-- Rows     id, received_at, body_sha256
INSERT INTO request_keys (id, received_at, body_sha256)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 1,
    deduplicate_insert = 'enable',
    insert_deduplication_token = {token:String},
    date_time_input_format = 'best_effort', -- ISO 8601, with Z
    input_format_column_name_matching_mode = 'match_case',
    input_format_parallel_parsing = 0,
    input_format_allow_errors_num = 0,
    input_format_allow_errors_ratio = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
FORMAT JSONEachRow
