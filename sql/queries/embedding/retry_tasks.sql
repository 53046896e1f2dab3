-- Give back all that is under a lease, to be tried again after a while by the clock of claim_tasks.sql. A row that a
-- writer holds is skipped, as in discard_tasks.sql; if the writer leaves its lease, that lapses.
-- $1 lease uuid
-- $2 wait_s double precision
-- $3 reason text: why it did not work this time (null: given back untried, which is no attempt and keeps the last reason)
with mine as (
    select job_id from embedding_task where lease = $1 for update skip locked
)

update embedding_task t set
    lease = null, leased_until = null, due_at = now() + make_interval(secs => $2), reason = coalesce($3, t.reason),
    attempts = t.attempts - case when $3::text is null then 1 else 0 end
from mine
where t.job_id = mine.job_id
returning t.job_id
