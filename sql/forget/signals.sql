-- forget/signals: deletes a visitor's rows from signals.
--
-- Serves   `pulsehouse database forget`
-- Params   site  String         the site's id
--          ids   Array(UInt64)  what the visitor is called under the salts that there are
DELETE FROM signals
WHERE site_id = {site:String} AND (visitor_id IN {ids:Array(UInt64)} OR previous_visitor_id IN {ids:Array(UInt64)})
