-- analysts/limits: what a query of an analyst may take, so that it cannot slow the live answers.
--
-- Why      readonly = 2: tools set what they must (with 1 they may set nothing: Grafana, Metabase and Tableau fail), and the bounds hold.
--          For these limits 0 means none, hence MIN 1. Threads of a query run at a nice value: the live
--          statements and the INSERTs have the processor first. Seconds, bytes and rows.
-- Serves   `pulsehouse analyst add`, `pulsehouse analyst role`
CREATE SETTINGS PROFILE OR REPLACE pulsehouse_analyst
SETTINGS
    readonly = 2 CONST,
    max_execution_time = 30 MIN 1 MAX 60,
    timeout_overflow_mode = 'throw' CONST,
    max_memory_usage = 1000000000 MIN 1 MAX 1000000000,
    max_memory_usage_for_user = 2000000000 CONST,
    max_rows_to_read = 1000000000 MIN 1 MAX 1000000000,
    max_threads = 1 MIN 1 MAX 2,
    max_concurrent_queries_for_user = 4 CONST,
    os_threads_nice_value_query = 19 CONST
TO pulsehouse_analyst
