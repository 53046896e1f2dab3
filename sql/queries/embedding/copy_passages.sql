-- Give a posting the passages of another with the very same text; answers how many, 0 when the other has changed since
-- (and what the posting had stays).
-- $1 generation smallint
-- $2 twin bigint
-- $3 job_id bigint
-- $4 text_hash bytea
select
    case
        when exists (select from embedded e where e.job_id = $2 and e.generation = $1 and e.text_hash = $4)
            then copy_passages($1, $2, $3, $4)
        else 0
    end as copied
