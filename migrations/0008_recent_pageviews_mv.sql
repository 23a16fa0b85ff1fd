-- 0008 recent_pageviews_mv: keeps the newest 10 pageviews of each site and minute of an inserted block.
--
-- Why      The newest 10 of all are among the newest 10 of each block, whatever the blocks are.
-- Data     Sees rows inserted from now on.
CREATE MATERIALIZED VIEW IF NOT EXISTS recent_pageviews_mv TO recent_pageviews AS
SELECT toStartOfMinute(timestamp) AS minute, site_id, timestamp, page, country
FROM signals
WHERE type = 'pageview'
ORDER BY site_id, minute, timestamp DESC, page DESC, country DESC
LIMIT 10 BY site_id, minute
