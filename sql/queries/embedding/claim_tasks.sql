-- Take due tasks under a lease, oldest first; another worker's rows are skipped, a lapsed lease counts as none. A task
-- under suspicion (it has strikes, or a claim with it broke by a fault of ours) is taken alone, so that no other shares
-- its fate and it is seen whose fault it was.
-- Due and lapsed by the database's clock, here and wherever a task is written: the clocks of processes differ, and one
-- that is ahead would take live leases from the others.
-- Comes with what is to be embedded, and with a twin: another posting whose same text is embedded already.
-- $1 generation smallint
-- $2 lease uuid: made by the claimer, the same for all rows of this claim
-- $3 lease_s double precision: how long the lease holds if nobody renews it
-- $4 most bigint: tasks
-- $5 most_bytes bigint: of text, after which no further task is taken; the first is taken whatever its length
with due as (
    select job_id, due_at, strikes > 0 or coalesce(reason = 'worker_fault', false) as suspected
    from embedding_task
    where failed_at is null and due_at <= now() and (leased_until is null or leased_until < now())
    order by due_at, job_id
    limit $4
    for update skip locked
),

measured as (
    -- octet_length reads the length of a text that is stored out of line without fetching it
    select d.job_id, d.due_at, d.suspected, octet_length(j.title) + coalesce(octet_length(j.body), 0) as bytes
    from due d
    join job j on j.id = d.job_id
),

placed as (
    select
        job_id, suspected, bytes,
        row_number() over oldest as place,
        first_value(suspected) over oldest as alone,
        sum(bytes) filter (where not suspected) over oldest as bytes_to_here
    from measured
    window oldest as (order by due_at, job_id)
),

claimed as (
    update embedding_task t
    set lease = $2, leased_until = now() + make_interval(secs => $3), attempts = least(t.attempts + 1, 30000)
    from placed p
    where
        t.job_id = p.job_id
        and (p.place = 1 or (not p.alone and not p.suspected and p.bytes_to_here - p.bytes < $5))
    returning t.job_id, t.attempts, t.strikes, t.traceparent, t.created_at
)

select
    c.job_id, j.text_hash, j.title, j.company, j.location, j.body, c.attempts, c.strikes, c.traceparent, c.created_at,
    e.job_id is not null as settled,
    twin.job_id as twin, twin.coverage as twin_coverage
from claimed c
join job j on j.id = c.job_id
left join embedded e on e.job_id = c.job_id and e.generation = $1 and e.text_hash = j.text_hash
left join lateral (
    select x.job_id, x.coverage from embedded x
    where x.generation = $1 and x.text_hash = j.text_hash and x.job_id <> j.id
    limit 1
) twin on true
order by c.created_at, c.job_id
