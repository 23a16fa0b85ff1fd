-- keys/add: stores a new API key, hashed.
--
-- Serves   `pulsehouse key create`, the demo
-- Params   id            String           public id of the key
--          tenant        String           its owner
--          token_sha256  String           SHA-256 of the token, lower-case hex
--          scope         String           read, write, admin or public
--          site_id       String           the one site it is bound to; empty for all of the tenant
--          expires_days  Nullable(UInt32) valid for so many days; NULL for ever
INSERT INTO api_keys (id, tenant, token_sha256, scope, site_id, created_at, expires_at)
SETTINGS
    async_insert = 0,
    -- what the profile of the ClickHouse user may not change (docs/operations.md, ClickHouse)
    limit = 0, offset = 0, additional_result_filter = '', additional_table_filters = {}, timeout_overflow_mode = 'throw'
SELECT
    {id:String},
    {tenant:String},
    {token_sha256:String},
    {scope:String},
    {site_id:String},
    now64(3, 'UTC'),
    now64(3, 'UTC') + toIntervalDay({expires_days:Nullable(UInt32)})
