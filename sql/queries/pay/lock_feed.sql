-- Be the only process that reads the feed until the transaction ends; false when another is. The number is this lock's
-- own.
select pg_try_advisory_xact_lock(7261634510) as mine
