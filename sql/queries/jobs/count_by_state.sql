-- How many postings of a tenant are in each state of embedding.
-- $1 tenant_id integer
select
    case
        when t.failed_at is not null then 'failed'
        when t.job_id is null and e.job_id is not null then 'done'
        else 'pending'
    end as value,
    count(*) as jobs
from job j
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
where j.tenant_id = $1
group by 1
order by 1
