-- Put a batch of the tasks that were set aside back into the queue, as if they were new, the longest ago first; answers
-- which and when they had been set aside. A row that a writer holds is skipped, as in discard_tasks.sql. What was set
-- aside after a time is left alone, so that batches come to an end while a worker runs.
-- $1 until timestamptz: by the database's clock (fetch_time.sql)
-- $2 after_failed_at timestamptz: where the last batch ended (null: from the first)
-- $3 after_job_id bigint
-- $4 count bigint: tasks of a batch
with batch as (
    select job_id, failed_at
    from embedding_task
    where
        failed_at <= $1
        and (failed_at, job_id) > (coalesce($2, '-infinity'::timestamptz), coalesce($3::bigint, 0))
    order by failed_at, job_id
    limit $4
    for update skip locked
),

returned as (
    update embedding_task t
    set failed_at = null, reason = null, strikes = 0, attempts = 0, due_at = now()
    from batch b
    where t.job_id = b.job_id
)

select job_id, failed_at from batch order by failed_at, job_id
