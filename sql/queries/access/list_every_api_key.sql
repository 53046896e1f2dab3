-- Every key of every tenant, for whoever operates the database; without their secrets, the newest first.
select
    k.id, t.name as tenant, k.name, k.scopes, k.rate, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
    k.replaced_by
from api_key k
join tenant t on t.id = k.tenant_id
order by k.created_at desc, k.id
