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
    insert_deduplication_token = {token:String},
    deduplicate_blocks_in_dependent_materialized_views = 1,
    max_insert_threads = 1,
    date_time_input_format = 'best_effort', -- ISO 8601, with Z
    input_format_column_name_matching_mode = 'match_case',
    materialize_statistics_on_insert = 0, -- nothing here is planned by statistics
    input_format_parallel_parsing = 0
FORMAT JSONEachRow
