-- How many postings of a tenant each source has, the largest first.
-- $1 tenant_id integer
-- $2 most bigint: how many values at most
select source as value, count(*) as jobs
from job
where tenant_id = $1
group by source
order by 2 desc, 1
limit $2
