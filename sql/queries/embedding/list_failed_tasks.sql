-- Tasks that were set aside, of all tenants, the longest ago first.
-- $1 count bigint: rows wanted
select
    t.job_id, n.name as tenant, j.source, j.external_id, j.title, t.reason, t.strikes, t.attempts, t.failed_at
from embedding_task t
join job j on j.id = t.job_id
join tenant n on n.id = j.tenant_id
where t.failed_at is not null
order by t.failed_at, t.job_id
limit $1
