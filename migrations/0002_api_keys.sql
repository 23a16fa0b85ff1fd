-- 0002 api_keys: who may read or write which sites.
--
-- Why      Only the SHA-256 of a token is stored: reading this table gives nobody access. Workers keep the
--          newest row of each key in memory; a revocation is a new row with revoked_at set.
-- Data     New table; nothing existing is touched.
CREATE TABLE IF NOT EXISTS api_keys
(
    id           String                         COMMENT 'Public key id, key_...; names the key in the command line and in logs',
    tenant       LowCardinality(String)         COMMENT 'The customer the key belongs to',
    token_sha256 FixedString(64)                COMMENT 'SHA-256 of the token, lower-case hex; the token itself is stored nowhere',
    scope        Enum8('read' = 1, 'write' = 2, 'admin' = 3, 'public' = 4) COMMENT 'read: the realtime answer; write: server-side tracking; admin: both; public: the numbers of site_id alone',
    site_id      String                         COMMENT 'The one site the key is bound to; empty: every site of the tenant',
    created_at   DateTime64(3, 'UTC')           COMMENT 'When the key was made',
    expires_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'From this instant on the key is refused; NULL: never',
    revoked_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'From this instant on the key is refused; NULL: not revoked',
    updated_at   DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written, by the clock of ClickHouse; the newest row of an id holds'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY id
COMMENT 'API keys, hashed; read with FINAL'
