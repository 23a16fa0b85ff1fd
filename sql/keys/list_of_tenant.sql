-- keys/list_of_tenant: the API keys of a tenant, revoked and expired ones included.
--
-- Serves   /api/keys
-- Reads    api_keys (0002)
-- Params   tenant  String  whose keys
-- Returns  id, tenant, token_sha256 (base64), scope, site_id, created_at, expires_at, revoked_at, updated_at (RFC 3339, UTC)
-- Order    created_at, id
SELECT
    id,
    tenant,
    base64Encode(unhex(token_sha256)) AS token_sha256,
    scope,
    site_id,
    created_at,
    expires_at,
    revoked_at,
    updated_at
FROM api_keys FINAL
WHERE tenant = {tenant:String}
ORDER BY created_at, id
SETTINGS
    date_time_output_format = 'iso',
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, extremes = 0, additional_result_filter = '', additional_table_filters = {},
    use_query_cache = 0, read_overflow_mode = 'throw', read_overflow_mode_leaf = 'throw', sort_overflow_mode = 'throw',
    result_overflow_mode = 'throw', timeout_overflow_mode = 'throw', timeout_overflow_mode_leaf = 'throw',
    output_format_write_statistics = 0
FORMAT JSON
