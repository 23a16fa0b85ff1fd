-- analysts/own_minutes: an analyst sees the minutes of the sites that they see.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    sites (0001), visitor_minutes (0005)
-- Params   database  Identifier  where the tables are
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {database:Identifier}.visitor_minutes
AS RESTRICTIVE USING site IN (SELECT reinterpretAsUInt128(SHA256(id)) FROM {database:Identifier}.sites)
TO pulsehouse_analyst
