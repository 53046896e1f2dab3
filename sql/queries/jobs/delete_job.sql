-- Delete a posting with its words, vectors and task.
-- $1 tenant_id integer
-- $2 job_id bigint
delete from job
where tenant_id = $1 and id = $2
returning id
