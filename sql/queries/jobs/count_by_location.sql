-- How many postings of a tenant each location has, the largest first.
-- $1 tenant_id integer
-- $2 most bigint: how many values at most
select min(location) as value, count(*) as jobs
from job
where tenant_id = $1 and location_key is not null
group by location_key
order by 2 desc, 1
limit $2
