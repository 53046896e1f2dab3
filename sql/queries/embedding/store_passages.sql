-- Replace the passages of postings in one generation.
-- $1 generation smallint
-- $2 replaced bigint[]: the postings whose old passages go
-- $3 job_id bigint[]: one element a passage, and so on in parallel
-- $4 passage_no smallint[]
-- $5 body_start integer[]
-- $6 body_end integer[]
-- $7 embedding halfvec[]
select store_passages($1, $2, $3, $4, $5, $6, $7) is not null as done
