-- 0010 live_minutes: the minutes of a site's visitors, laid into the windows of five minutes that contain them.
--
-- Why      Around 00:00 UTC a visitor is known by two ids. Which of them counts depends on the window, and this is
--          where that is decided: in a window that reaches back before 00:00 it is the id of the day before.
--          What is stamped up to 5 s ahead of `now` counts in the minute in progress.
--          The window of the realtime answer is the one whose window_end is the minute in progress.
--          live_minutes(site = 'site_abc123', first = toDateTime('2026-11-24 11:00:00'), now = toDateTime('2026-11-24 12:00:30'))
--            site   String           the site's id
--            first  DateTime('UTC')  window_end of the first window, a start of a minute
--            now    DateTime('UTC')  the instant of asking; the last window is that of the minute in progress
-- Data     A view; stores nothing.
CREATE VIEW IF NOT EXISTS live_minutes AS
WITH
    {now:DateTime('UTC')} AS now,
    toStartOfMinute(now) AS in_progress
SELECT
    least(visitor_minutes.minute, in_progress) AS minute,
    arrayJoin(range(5)) * 60 + minute AS window_end,
    if(
        previous_visitor_id != 0 AND toDate(window_end - 240) < toDate(if(window_end = in_progress, now + 5, window_end)),
        previous_visitor_id,
        visitor_id
    ) AS visitor,
    pageviews,
    latest,
    source
FROM visitor_minutes
WHERE site = reinterpretAsUInt128(SHA256({site:String}))
  AND visitor_minutes.minute BETWEEN {first:DateTime('UTC')} - 240 AND now + 5
  AND window_end BETWEEN {first:DateTime('UTC')} AND in_progress
COMMENT 'live_minutes(site, first, now): a site''s visitors by the five-minute windows they were active in'
