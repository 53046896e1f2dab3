-- Be the only one who counts words until the transaction ends, with longer for each of its statements than others get,
-- since a million postings are read; false when another process is at it. The number is this lock's own.
-- $1 timeout_ms integer
select pg_try_advisory_xact_lock(7261634502) and set_config('statement_timeout', $1::integer::text, true) <> '' as mine
