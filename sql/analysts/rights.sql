-- analysts/rights: the tables and views that analysts read; those without secrets, each under a policy or over tables that are.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
-- Params   database  Identifier  where the tables are
GRANT
    SELECT(name, tenant) ON {database:Identifier}.analysts,
    SELECT(id, tenant, name, domains, removed_at) ON {database:Identifier}.sites,
    SELECT ON {database:Identifier}.signals,
    SELECT ON {database:Identifier}.visitor_minutes,
    SELECT ON {database:Identifier}.pageviews,
    SELECT ON {database:Identifier}.live_minutes,
    SELECT ON {database:Identifier}.live_visitors,
    SELECT ON {database:Identifier}.live_pages,
    SELECT ON {database:Identifier}.live_sources,
    SELECT ON {database:Identifier}.live_countries,
    SELECT ON {database:Identifier}.live_history,
    SELECT ON {database:Identifier}.hourly_history,
    SELECT ON {database:Identifier}.sites_now,
    SELECT ON {database:Identifier}.sessions
TO pulsehouse_analyst
