-- removed/recent_pageviews: deletes the rows of removed sites from recent_pageviews.
--
-- Why      A lightweight delete marks the rows, which no query sees from then on; they leave the disk with the next
--          merge of their part, at the latest when it expires. The condition on sites keeps what a site stores that is
--          added again just now: a delete concerns rows that were there when it began, and then the site was removed.
-- Serves   the removal of a site
-- Reads    sites (0001), recent_pageviews (0007)
-- Params   ids  Array(String)  the removed sites
DELETE FROM recent_pageviews
WHERE site IN
(
    SELECT reinterpretAsUInt128(SHA256(id)) FROM sites FINAL WHERE id IN {ids:Array(String)} AND removed_at IS NOT NULL
)
