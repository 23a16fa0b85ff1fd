-- faults/in_feed: how often each mark is in the feed of newest pageviews.
--
-- Params   large  String  the large site, whose signals carry no marks
-- Returns  mark (the page, up to a ~), its pageviews
-- Order    none
SELECT splitByChar('~', substring(arrayJoin(finalizeAggregation(newest_state)), 19))[1] AS mark, count()
FROM recent_pageviews
WHERE site != reinterpretAsUInt128(SHA256({large:String}))
GROUP BY mark
