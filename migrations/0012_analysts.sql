-- 0012 analysts: which tenant's rows a user of ClickHouse may see.
--
-- Why      The policies of the role pulsehouse_analyst look here under the name of whoever asks (sql/analysts): a user without
--          a row sees nothing. So a tenant is data, bound as a parameter, and no policy has to be written per analyst.
-- Data     New table; nothing existing is touched.
CREATE TABLE IF NOT EXISTS analysts
(
    name       String                                       COMMENT 'Name of the user of ClickHouse',
    tenant     String                                       COMMENT 'The customer whose sites the user sees; sites.tenant',
    created_at DateTime('UTC') DEFAULT now('UTC')           COMMENT 'When the analyst was added'
)
ENGINE = MergeTree
ORDER BY name
SETTINGS auto_statistics_types = ''
COMMENT 'Users of ClickHouse who see the rows of one tenant'
