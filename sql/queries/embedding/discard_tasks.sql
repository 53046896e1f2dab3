-- Set tasks aside with a reason; the postings stay findable by their words.
-- $1 lease uuid
-- $2 job_ids bigint[]
-- $3 reasons text[]: parallel to $2
-- $4 now timestamptz
update embedding_task t set lease = null, leased_until = null, failed_at = $4, reason = made.reason
from unnest($2::bigint[], $3::text[]) as made (job_id, reason)
where t.lease = $1 and t.job_id = made.job_id
