-- track/insert_signals: commits a group of signals, once per token however often it is sent.
--
-- Why      The token names the group: a repeated INSERT is dropped in signals and, by the second setting, in each
--          table that a view fills, so a retry after an unclear failure stores nothing twice.
-- Serves   POST /api/track
-- Params   token  String  unique per group
INSERT INTO signals
(
    site_id, timestamp, type, visitor_id, previous_visitor_id, page, country, referrer, utm_source, utm_medium, utm_campaign,
    action, category, label, value
)
SETTINGS
    async_insert = 0,
    insert_deduplicate = 1,
    deduplicate_insert = 'enable',
    insert_deduplication_token = {token:String},
    deduplicate_blocks_in_dependent_materialized_views = 1,
    max_insert_threads = 1,
    date_time_input_format = 'best_effort', -- ISO 8601, with Z
    input_format_column_name_matching_mode = 'match_case',
    materialize_statistics_on_insert = 0, -- nothing here is planned by statistics
    input_format_parallel_parsing = 0,
    input_format_allow_errors_num = 0,
    input_format_allow_errors_ratio = 0,
    -- what the profile of the ClickHouse user may not change, in the views too (docs/operations.md, ClickHouse)
    materialized_views_ignore_errors = 0,
    date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands = 0,
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {},
    group_by_overflow_mode = 'throw', sort_overflow_mode = 'throw', read_overflow_mode = 'throw',
    timeout_overflow_mode = 'throw'
FORMAT JSONEachRow
