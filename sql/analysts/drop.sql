-- analysts/drop: removes the user of an analyst; nothing where there is none.
--
-- Serves   `pulsehouse analyst remove`
-- Params   analyst  Identifier  name of the user
DROP USER IF EXISTS {analyst:Identifier}
