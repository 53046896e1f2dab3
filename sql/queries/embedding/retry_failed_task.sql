-- Put one task that was set aside back into the queue, as if it were new; nothing when there is none.
-- $1 job_id bigint
update embedding_task
set failed_at = null, reason = null, strikes = 0, attempts = 0, due_at = now()
where job_id = $1 and failed_at is not null
returning job_id
