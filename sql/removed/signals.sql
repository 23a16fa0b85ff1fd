-- removed/signals: deletes the rows of removed sites from signals.
--
-- Why      A lightweight delete marks the rows, which no query sees from then on; they leave the disk with the next
--          merge of their part, at the latest when it expires. The condition on sites keeps what a site stores that is
--          added again just now: a delete concerns rows that were there when it began, and then the site was removed.
-- Serves   the removal of a site
-- Reads    sites (0001), signals (0004)
-- Params   ids  Array(String)  the removed sites
DELETE FROM signals
WHERE site_id IN {ids:Array(String)} AND site_id IN (SELECT id FROM sites FINAL WHERE removed_at IS NOT NULL)
