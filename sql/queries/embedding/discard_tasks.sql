-- Set tasks aside with a reason; the postings stay findable by their words. A row that a writer holds is skipped: the
-- writer gives it a new text, and waiting for it could end in a deadlock.
-- $1 lease uuid
-- $2 job_ids bigint[]
-- $3 reasons text[]: parallel to $2
with mine as (
    select job_id from embedding_task
    where lease = $1 and job_id = any($2)
    for update skip locked
)

update embedding_task t set lease = null, leased_until = null, failed_at = now(), reason = made.reason
from unnest($2::bigint[], $3::text[]) as made (job_id, reason)
join mine on mine.job_id = made.job_id
where t.job_id = made.job_id
returning t.job_id
