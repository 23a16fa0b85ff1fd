-- analysts/quota: what all queries of one analyst may take in an hour.
--
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
CREATE QUOTA OR REPLACE pulsehouse_analyst
KEYED BY user_name
FOR INTERVAL 1 hour MAX queries = 10000, execution_time = 1800
TO pulsehouse_analyst
