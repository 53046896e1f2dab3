-- Keep the tasks of a claim for longer, by the clock with which claim_tasks.sql compares. A row that a writer holds is
-- skipped, as in discard_tasks.sql.
-- $1 lease uuid
-- $2 lease_s double precision: how long from now the lease holds
with mine as (
    select job_id from embedding_task where lease = $1 for update skip locked
)

update embedding_task t set leased_until = now() + make_interval(secs => $2)
from mine
where t.job_id = mine.job_id
