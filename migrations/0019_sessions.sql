-- 0019 sessions: the visits to a site. 30 minutes of silence end one.
--
-- Why      All signals tell of them, heartbeats included. The signals of a visitor's id are cut where 30 minutes pass without
--          one. A piece that began in the first 5 minutes after 00:00 UTC knows the id of the day before and is put
--          to that one's signals, and all is cut again. So a visit goes on over midnight; only one that lasts for a whole
--          UTC day is two.
--          sessions(site = 'site_abc123', first = now('UTC') - INTERVAL 1 DAY, until = now('UTC'))
--            site   String           the site's id
--            first  DateTime('UTC')  sessions that began from here on
--            until  DateTime('UTC')  and before this; of each what happened up to a day after `until` counts too
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS sessions
(
    began DateTime('UTC') COMMENT 'The first signal; the time column',
    ended DateTime('UTC') COMMENT 'The last signal so far',
    duration_s UInt32 COMMENT 'Seconds from the first signal to the last; 0 where there is one alone',
    visitor UInt64 COMMENT 'The visitor, by the id of the day on which the session began',
    pageviews UInt64 COMMENT 'Pageviews in the session; 0 where there are other signals only',
    entry_page String COMMENT 'Page of the first signal',
    exit_page String COMMENT 'Page of the last signal',
    country String COMMENT 'ISO 3166-1 alpha-2, of the first signal; empty where unknown',
    referrer String COMMENT 'Of the first signal that has a referrer or campaign; empty where there is none',
    utm_source String COMMENT 'Of the same signal; empty where not given',
    utm_medium String COMMENT 'Of the same signal; empty where not given',
    utm_campaign String COMMENT 'Of the same signal; empty where not given'
)
SQL SECURITY INVOKER
AS WITH
    signals -> arraySplit((signal, since_last_us) -> since_last_us >= 1800000000, signals, arrayDifference(signals.at)) AS cut,
    arrayFirst(source -> source != ('', '', '', ''), session.source) AS came_from
SELECT
    toDateTime(intDiv(session[1].at, 1000000), 'UTC') AS began,
    toDateTime(intDiv(session[-1].at, 1000000), 'UTC') AS ended,
    toUInt32(intDiv(session[-1].at - session[1].at, 1000000)) AS duration_s,
    person AS visitor,
    toUInt64(arrayCount(session.is_pageview)) AS pageviews,
    session[1].page AS entry_page,
    session[-1].page AS exit_page,
    session[1].country AS country,
    came_from.1 AS referrer,
    came_from.2 AS utm_source,
    came_from.3 AS utm_medium,
    came_from.4 AS utm_campaign
FROM
(
    SELECT person, arrayJoin(cut(arraySort(groupArrayArray(piece)))) AS session
    FROM
    (
        SELECT
            visitor_id,
            arrayJoin(cut(arraySort(groupArray((
                toUnixTimestamp64Micro(timestamp),
                page,
                country,
                type = 'pageview',
                (referrer, utm_source, utm_medium, utm_campaign),
                previous_visitor_id
            )::Tuple(
                at Int64,
                page String,
                country String,
                is_pageview UInt8,
                source Tuple(String, String, String, String),
                previous UInt64
            ))))) AS piece,
            arrayMax(piece.previous) AS previous,
            if(previous != 0, previous, visitor_id) AS person
        FROM signals
        WHERE site_id = {site:String}
          AND timestamp >= {first:DateTime('UTC')} - INTERVAL 30 MINUTE
          AND timestamp < {until:DateTime('UTC')} + INTERVAL 1 DAY
        GROUP BY visitor_id
    )
    GROUP BY person
)
WHERE began >= {first:DateTime('UTC')} AND began < {until:DateTime('UTC')}
COMMENT 'sessions(site, first, until): one row per visit that began in a time'
