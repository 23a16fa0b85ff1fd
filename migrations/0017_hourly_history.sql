-- 0017 hourly_history: visitors and pageviews of a site hour by hour, in a time zone.
--
-- Why      An hour of a zone such as Asia/Kolkata contains 00:00 UTC, where ids change. A visitor who goes on has told the
--          former id in the first minutes after it, and all the rest of that hour counts under that id.
--          hourly_history(site = 'site_abc123', first = now('UTC') - INTERVAL 1 DAY, now = now('UTC'), zone = 'Europe/Berlin')
--            site   String           the site's id
--            first  DateTime('UTC')  an instant in the first hour
--            now    DateTime('UTC')  the instant of asking; its hour is the last
--            zone   String           IANA time zone whose hours are meant
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS hourly_history
(
    hour DateTime('UTC') COMMENT 'When the hour began; the time column. An hour without visitors has a row of zeros',
    visitors UInt64 COMMENT 'Visitors active in this hour',
    pageviews UInt64 COMMENT 'Pageviews in this hour'
)
SQL SECURITY INVOKER
AS WITH
    {now:DateTime('UTC')} AS now,
    toTimeZone(toStartOfHour(toTimeZone({first:DateTime('UTC')}, {zone:String})), 'UTC') AS first
SELECT
    hour,
    uniqExact(visitor) AS visitors,
    sum(views) AS pageviews
FROM
(
    SELECT
        toTimeZone(toStartOfHour(toTimeZone(least(minute, now), {zone:String})), 'UTC') AS hour,
        if(max(previous_visitor_id) != 0, max(previous_visitor_id), visitor_id) AS visitor,
        sum(pageviews) AS views
    FROM visitor_minutes
    WHERE site = reinterpretAsUInt128(SHA256({site:String})) AND minute BETWEEN first AND now + 5
    GROUP BY hour, visitor_id
)
GROUP BY hour
ORDER BY hour WITH FILL FROM first TO now + 1 STEP 3600
COMMENT 'hourly_history(site, first, now, zone): visitors and pageviews of each hour of a time zone'
