-- 0008 recent_pageviews_mv: keeps the newest 10 pageviews of each site and minute of an inserted block.
--
-- Why      The newest 10 of all are among the newest 10 of each block, whatever the blocks are.
-- Data     Sees rows inserted from now on.
CREATE MATERIALIZED VIEW IF NOT EXISTS recent_pageviews_mv TO recent_pageviews AS
SELECT
    reinterpretAsUInt128(SHA256(site_id)) AS site,
    toStartOfMinute(timestamp)            AS minute,
    groupArraySortedState(10)(
        concat(toString(9999999999999999 - toUnixTimestamp64Micro(timestamp)), rightPad(country, 2), page)
    )                                     AS newest_state
FROM signals
WHERE type = 'pageview'
GROUP BY site, minute
