-- removed/signals: deletes the rows of removed sites from signals.
--
-- Why      A lightweight delete marks the rows, which no query sees from then on; they leave the disk with the next
--          merge of their part, at the latest when it expires. The condition on sites keeps what a site stores that is
--          added again just now: a delete concerns rows that were there when it began, and then the site was removed.
--          Which sites are removed is found out once and stands in the mutation as a constant, for all replicas alike.
-- Serves   the removal of a site
-- Reads    sites (0001), signals (0004)
-- Params   own  Identifier     the database of the tables that hold the rows: on a cluster those of one shard
--          ids  Array(String)  the removed sites
DELETE FROM {own:Identifier}.signals
WHERE has((SELECT groupArray(id) FROM sites FINAL WHERE id IN {ids:Array(String)} AND removed_at IS NOT NULL), site_id)
SETTINGS mutations_execute_subqueries_on_initiator = 1
