-- Note a strike against tasks whose own text is to blame: given back for later, or set aside with the last strike. A row
-- that a writer holds is skipped, as in discard_tasks.sql.
-- $1 lease uuid
-- $2 job_ids bigint[]: one element a task, and so on in parallel
-- $3 reasons text[]
-- $4 waits_s double precision[]: from now, by the clock of claim_tasks.sql
-- $5 most_strikes integer: with so many a task is set aside
with mine as (
    select job_id from embedding_task
    where lease = $1 and job_id = any($2)
    for update skip locked
)

update embedding_task t set
    lease = null, leased_until = null, strikes = t.strikes + 1,
    due_at = now() + make_interval(secs => made.wait_s), reason = made.reason,
    failed_at = case when t.strikes + 1 >= $5 then now() end
from unnest($2::bigint[], $3::text[], $4::double precision[]) as made (job_id, reason, wait_s)
join mine on mine.job_id = made.job_id
where t.job_id = made.job_id
returning t.job_id
