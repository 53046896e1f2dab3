-- Delete postings of a tenant, with all that hangs on them. In portions, so that no statement takes long.
-- $1 tenant_id integer
-- $2 most bigint
with gone as (
    delete from job
    where id in (select id from job where tenant_id = $1 order by id limit $2)
    returning id
)

select count(*) from gone
