-- removed/visitor_minutes: deletes the rows of removed sites from visitor_minutes.
--
-- Why      A lightweight delete marks the rows, which no query sees from then on; they leave the disk with the next
--          merge of their part, at the latest when it expires. The condition on sites keeps what a site stores that is
--          added again just now: a delete concerns rows that were there when it began, and then the site was removed.
-- Serves   the removal of a site
-- Reads    sites (0001), visitor_minutes (0005)
-- Params   ids  Array(String)  the removed sites
DELETE FROM visitor_minutes
WHERE site IN
(
    SELECT reinterpretAsUInt128(SHA256(id)) FROM sites FINAL WHERE id IN {ids:Array(String)} AND removed_at IS NOT NULL
)
