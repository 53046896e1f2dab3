-- Lets the statements of this transaction take longer than the pool allows.
-- $1 timeout_ms integer
select set_config('statement_timeout', $1::integer::text, true) <> '' as given
