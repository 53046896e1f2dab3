-- The passages behind a set of filters: never run, only explained, for the planner's estimate of how many there are.
-- $1 generation smallint
-- $2 tenant_id integer
-- $3 source text[]
-- $4 company text[]: case-folded
-- $5 location text: case-folded
-- $6 remote boolean
-- $7 employment_type text[]
-- $8 posted_after timestamptz: at or after
-- $9 posted_before timestamptz: before
-- $10 active boolean
-- $11 now timestamptz
-- $12 joined boolean
select v.job_id
from passage v
where
    v.generation = $1 and v.tenant_id = $2
    and ($3::text[] is null or v.source = any($3))
    and ($8::timestamptz is null or v.posted_at >= $8)
    and ($9::timestamptz is null or v.posted_at < $9)
    and (not $12::boolean or exists (
        select from job j
        where j.id = v.job_id and job_passes(j, null, $4, $5, $6, $7, null, null, $10, $11)
    ))
