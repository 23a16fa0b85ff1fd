-- demo/past: gives a site of the demo two days of visitors who never were, so that its lines begin somewhere.
--
-- Why      The rate follows the hours, with waves on top, and is about that of the demo's live visitors now; everything
--          is drawn from hashes of the visitor's number. What is drawn twice from a list is twice as likely.
-- Serves   `pulsehouse demo`
-- Params   site       String           the site
--          now        DateTime('UTC')  the instant that the past ends at
--          gap_s      UInt32           seconds before it that are left to the live visitors
--          pages      Array(String)    pages to draw from
--          countries  Array(String)    countries to draw from
--          referrers  Array(String)    hosts to draw from, empty for none
INSERT INTO signals (site_id, timestamp, type, visitor_id, page, country, referrer)
SETTINGS async_insert = 0
WITH
    sipHash64({site:String}, number) AS visitor,
    172800 * (sipHash64(visitor, 'when') / pow(2, 64)) AS ago_s,
    if(ago_s < 86400, 1, 0.85) * (0.75 + 0.3 * cos(2 * pi() * (ago_s - 7200) / 86400))
        + 0.1 * sin(ago_s / 1931) + 0.06 * sin(ago_s / 373) AS rate,
    arrayJoin(range(1 + sipHash64(visitor, 'stays') % 6)) AS step,
    sipHash64(visitor, 'reads', intDiv(step, 2)) AS reads
SELECT
    {site:String},
    toDateTime64({now:DateTime('UTC')}, 6, 'UTC') - toIntervalMillisecond(toInt64(1000 * (ago_s - 30 * step))),
    if(step % 2 = 0, 'pageview', 'heartbeat'),
    visitor,
    {pages:Array(String)}[1 + reads % length({pages:Array(String)})],
    {countries:Array(String)}[1 + sipHash64(visitor, 'lives') % length({countries:Array(String)})],
    {referrers:Array(String)}[1 + sipHash64(visitor, 'comes') % length({referrers:Array(String)})]
FROM numbers(36000)
-- The live visitors are others: towards them these become fewer, so that together they are not too many.
WHERE sipHash64(visitor, 'is there') / pow(2, 64) < rate / 1.25 * least(1, (ago_s - 30 * step - {gap_s:UInt32}) / 260)
