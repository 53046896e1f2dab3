-- Give a posting the passages of another with the very same text; answers how many, 0 when one of them has changed since
-- (and what the posting had stays).
-- $1 generation smallint
-- $2 twin bigint
-- $3 job_id bigint
-- $4 text_hash bytea
select copy_passages($1, $2, $3, $4) as copied
