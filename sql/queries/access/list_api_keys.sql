-- The keys of a tenant, without their secrets, the newest first.
-- $1 tenant_id integer
-- $2 most bigint
select
    k.id, t.name as tenant, k.name, k.scopes, k.rate, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
    k.replaced_by
from api_key k
join tenant t on t.id = k.tenant_id
where k.tenant_id = $1
order by k.created_at desc, k.id
limit $2
