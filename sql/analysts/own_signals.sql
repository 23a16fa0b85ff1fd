-- analysts/own_signals: an analyst sees the signals of the sites that they see.
--
-- Why      The subquery runs as the analyst and is filtered itself, so a new site of the tenant is seen at once.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Reads    sites (0001), signals (0004)
-- Params   database  Identifier  where the tables are
CREATE ROW POLICY OR REPLACE pulsehouse_analyst ON {database:Identifier}.signals
AS RESTRICTIVE USING site_id IN (SELECT id FROM {database:Identifier}.sites)
TO pulsehouse_analyst
