-- Keep the tasks of a claim for longer. A row that a writer holds is skipped, as in discard_tasks.sql.
-- $1 lease uuid
-- $2 leased_until timestamptz
with mine as (
    select job_id from embedding_task where lease = $1 for update skip locked
)

update embedding_task t set leased_until = $2
from mine
where t.job_id = mine.job_id
