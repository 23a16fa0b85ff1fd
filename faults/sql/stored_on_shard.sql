-- faults/stored_on_shard: how often each mark was stored on a shard, and of which site.
--
-- Params   none
-- Returns  site_id, mark (the page without its slash), its signals
-- Order    none
SELECT site_id, substring(page, 2) AS mark, count() FROM signals GROUP BY site_id, mark
