-- 0018 sites_now: every site, who is on it at an instant, and when it was last heard of.
--
-- Why      The numbers of GET /api/realtime/overview, for all sites that the reader may see. Reads a day of minutes, so a
--          site that was silent for longer has no last_signal.
--          sites_now(now = now('UTC'))
--            now  DateTime('UTC')  the instant asked about
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS sites_now
(
    site_id String COMMENT 'The site; sites.id',
    tenant String COMMENT 'The customer who owns the site',
    name String COMMENT 'Name shown to people',
    visitors UInt64 COMMENT 'Active visitors',
    pageviews UInt64 COMMENT 'Pageviews in the window of five minutes',
    last_signal Nullable(DateTime('UTC')) COMMENT 'Start of the minute of the last signal; the time column. NULL: none for 24 hours'
)
SQL SECURITY INVOKER
AS WITH
    {now:DateTime('UTC')} AS now,
    toStartOfMinute(now) AS in_progress,
    in_progress - 240 AS oldest
SELECT
    max(id) AS site_id,
    max(owner) AS tenant,
    max(title) AS name,
    sum(active) AS visitors,
    sum(views) AS pageviews,
    max(heard) AS last_signal
FROM
(
    SELECT reinterpretAsUInt128(SHA256(id)) AS site, id, toString(tenant) AS owner, name AS title, 0 AS active, 0 AS views, NULL AS heard
    FROM sites FINAL
    WHERE removed_at IS NULL
    UNION ALL
    -- around 00:00 UTC a visitor is known by the id under the previous day's salt, as in live_minutes (0010)
    SELECT site, '', '', '', uniqExact(if(previous_visitor_id != 0 AND toDate(oldest) < toDate(now + 5), previous_visitor_id, visitor_id)), sum(pageviews), NULL
    FROM visitor_minutes
    WHERE minute BETWEEN oldest AND now + 5
    GROUP BY site
    UNION ALL
    SELECT site, '', '', '', 0, 0, least(max(minute), in_progress)
    FROM visitor_minutes
    WHERE minute BETWEEN now - INTERVAL 1 DAY AND now + 5
    GROUP BY site
)
GROUP BY site
HAVING site_id != ''
COMMENT 'sites_now(now): one row per site with its active visitors and its last signal'
