-- bench/load: made-up signals at a steady rate, written through the views as the service writes them.
--
-- Params   start    DateTime64(6, 'UTC')  the first signal's instant
--          rate     Float64               signals per second
--          signals  UInt64                how many
--          sites    UInt32                site_1 ... site_N
--          skew     UInt8                 1: log-uniform over the sites, 0: every site alike
--          visitors UInt32                visitors of site_1; with skew the others have 1/N of it, without all alike
-- Returns  nothing
INSERT INTO signals (site_id, timestamp, type, visitor_id, page, country, referrer)
SELECT
    concat('site_', toString(site)),
    {start:DateTime64(6, 'UTC')} + toIntervalMicrosecond(toInt64(number * 1000000 / {rate:Float64})),
    ['pageview', 'pageview', 'pageview', 'heartbeat'][1 + rand(2) % 4],
    cityHash64(site, rand64(3) % greatest(if({skew:UInt8} = 1, intDiv({visitors:UInt32}, site), {visitors:UInt32}), 1)),
    concat('/page/', toString(toUInt32(pow(rand(4) / 4294967296, 3) * 300))),
    ['US', 'DE', 'GB', 'FR', ''][1 + rand(5) % 5],
    ['', '', '', 'google.com', 'news.example'][1 + rand(6) % 5]
FROM
(
    SELECT number, toUInt32(if({skew:UInt8} = 1, floor(exp(rand(1) / 4294967296 * log({sites:UInt32}))), 1 + number % {sites:UInt32})) AS site
    FROM numbers({signals:UInt64})
)
