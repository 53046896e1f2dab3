-- Remove a tenant that has nothing any more.
-- $1 tenant_id integer
delete from tenant
where id = $1
