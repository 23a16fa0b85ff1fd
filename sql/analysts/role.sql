-- analysts/role: what all analysts have in common; rights, policies and limits are given to it.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
CREATE ROLE IF NOT EXISTS pulsehouse_analyst
