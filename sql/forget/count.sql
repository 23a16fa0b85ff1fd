-- forget/count: how much there is of a visitor.
--
-- Serves   `pulsehouse database forget`
-- Reads    signals (0004), visitor_minutes (0005)
-- Params   site  String         the site's id
--          ids   Array(UInt64)  what the visitor is called under the salts that there are
-- Returns  signals, minutes; one row
SELECT
    (
        SELECT count()
        FROM signals
        WHERE site_id = {site:String}
            AND (visitor_id IN {ids:Array(UInt64)} OR previous_visitor_id IN {ids:Array(UInt64)})
    ) AS signals,
    (
        SELECT uniqExact(minute)
        FROM visitor_minutes
        WHERE site = reinterpretAsUInt128(SHA256({site:String}))
            AND (visitor_id IN {ids:Array(UInt64)} OR previous_visitor_id IN {ids:Array(UInt64)})
    ) AS minutes
SETTINGS
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    group_by_overflow_mode = 'throw', set_overflow_mode = 'throw', output_format_write_statistics = 0,
    output_format_json_quote_64bit_integers = 0
FORMAT JSON
