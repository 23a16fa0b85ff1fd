-- forget/visitor_minutes: deletes a visitor's rows from visitor_minutes.
--
-- Serves   `pulsehouse database forget`
-- Params   site  String         the site's id
--          ids   Array(UInt64)  what the visitor is called under the salts that there are
DELETE FROM visitor_minutes
WHERE site = reinterpretAsUInt128(SHA256({site:String})) AND (visitor_id IN {ids:Array(UInt64)} OR previous_visitor_id IN {ids:Array(UInt64)})
