-- retention/signals: keeps the rows of signals for so many days from now on.
--
-- Why      Days leave as whole parts. For those that are there ClickHouse works out anew when they leave, and reads only
--          their times for that; what has had its time leaves at once, a longer one brings nothing back.
-- Serves   `pulsehouse database retention`
-- Params   days  UInt32  days after a row's time
ALTER TABLE signals
    (MODIFY SETTING ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1),
    (MODIFY TTL toDateTime(timestamp) + toIntervalDay({days:UInt32}))
