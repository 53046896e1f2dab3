-- Every key, without its secret, the newest first.
select k.id, t.name as tenant, k.name, k.scopes, k.created_at, k.revoked_at
from api_key k
join tenant t on t.id = k.tenant_id
order by k.created_at desc, k.id
