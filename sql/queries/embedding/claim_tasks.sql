-- Take due tasks under a lease, oldest first; another worker's rows are skipped, a lapsed lease counts as none.
-- Comes with what is to be embedded, and with a twin: another posting whose same text is embedded already.
-- $1 generation smallint
-- $2 lease uuid: made by the claimer, the same for all rows of this claim
-- $3 now timestamptz
-- $4 leased_until timestamptz
-- $5 most bigint
with due as (
    select job_id
    from embedding_task
    where failed_at is null and due_at <= $3 and (leased_until is null or leased_until < $3)
    order by due_at, job_id
    limit $5
    for update skip locked
),

claimed as (
    update embedding_task t
    set lease = $2, leased_until = $4, attempts = t.attempts + 1
    from due
    where t.job_id = due.job_id
    returning t.job_id, t.attempts, t.traceparent, t.created_at
)

select
    c.job_id, j.text_hash, j.title, j.company, j.location, j.body, c.attempts, c.traceparent, c.created_at,
    e.job_id is not null as settled,
    twin.job_id as twin
from claimed c
join job j on j.id = c.job_id
left join embedded e on e.job_id = c.job_id and e.generation = $1 and e.text_hash = j.text_hash
left join lateral (
    select x.job_id from embedded x
    where x.generation = $1 and x.text_hash = j.text_hash and x.job_id <> j.id
    limit 1
) twin on true
order by c.created_at, c.job_id
