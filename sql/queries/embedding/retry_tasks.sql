-- Give back all that is under a lease, to be tried again at a time. A row that a writer holds is skipped, as in
-- discard_tasks.sql; if the writer leaves its lease, that lapses.
-- $1 lease uuid
-- $2 due_at timestamptz
-- $3 reason text: why it did not work this time (null: given back untried, which is no attempt and keeps the last reason)
with mine as (
    select job_id from embedding_task where lease = $1 for update skip locked
)

update embedding_task t set
    lease = null, leased_until = null, due_at = $2, reason = coalesce($3, t.reason),
    attempts = t.attempts - case when $3::text is null then 1 else 0 end
from mine
where t.job_id = mine.job_id
returning t.job_id
