-- Postings of a tenant whose embedding was given up, the latest first, with how many there are in all.
-- $1 tenant_id integer
-- $2 most bigint: rows wanted
select
    t.job_id, j.source, j.external_id, j.title, coalesce(t.reason, '') as reason, t.failed_at,
    count(*) over () as total
from embedding_task t
join job j on j.id = t.job_id
where j.tenant_id = $1 and t.failed_at is not null
order by t.failed_at desc, t.job_id
limit $2
