-- keys/revoke: writes a key's newest row again, revoked from now on; nothing where there is no such key.
--
-- Why      The new row is newer than the old one even when the clock of ClickHouse has stepped back.
-- Serves   `pulsehouse key revoke`
-- Params   id  String  public id of the key
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, expires_at, revoked_at, updated_at)
SETTINGS
    async_insert = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw',
    read_overflow_mode = 'throw', sort_overflow_mode = 'throw'
SELECT
    id,
    tenant,
    token_sha256,
    scope,
    site_id,
    created_at,
    expires_at,
    coalesce(revoked_at, now64(3, 'UTC')),
    greatest(now64(3, 'UTC'), updated_at + toIntervalMillisecond(1))
FROM api_keys FINAL
WHERE id = {id:String}
