-- Postings of a tenant that are still to be embedded.
-- $1 tenant_id integer
select count(*)
from embedding_task t
join job j on j.id = t.job_id
where j.tenant_id = $1 and t.failed_at is null
