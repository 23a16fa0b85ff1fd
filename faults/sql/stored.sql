-- faults/stored: how often each mark was stored.
--
-- Params   large  String  the large site, whose signals carry no marks
-- Returns  mark (the page, up to a ~), its signals
-- Order    none
SELECT splitByChar('~', page)[1] AS mark, count() FROM signals WHERE site_id != {large:String} GROUP BY mark
