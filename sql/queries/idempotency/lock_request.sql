-- Take a request until the transaction ends; false, without a wait, while another transaction has it.
-- $1 request bigint: the first half of a SHA-256, which no other lock shares but by chance
select pg_try_advisory_xact_lock($1) as taken
