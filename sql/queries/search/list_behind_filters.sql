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
-- $12 joined boolean: whether a filter needs the posting itself
-- $13 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $14 pay_low double precision[]: its lower end for a month, in each of them
-- $15 pay_high double precision[]: its upper end for a month, in each of them
-- $16 unpriced boolean: whether postings without comparable pay pass it
select v.job_id
from passage v
where
    not $12::boolean
    and v.generation = $1 and v.tenant_id = $2
    and ($3::text[] is null or v.source = any($3))
    and ($8::timestamptz is null or v.posted_at >= $8)
    and ($9::timestamptz is null or v.posted_at < $9)
union all
-- as a join: of a condition behind "or exists" the planner expects half of all rows, whatever it says
select v.job_id
from job j
join passage v on v.job_id = j.id
where
    $12::boolean
    and v.generation = $1 and j.tenant_id = $2
    and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13, $14, $15, $16)
