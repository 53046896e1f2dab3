-- A key that is not revoked, by its public half.
-- $1 key_id text
select k.id, k.tenant_id, t.name as tenant, k.name, k.secret_hash, k.scopes
from api_key k
join tenant t on t.id = k.tenant_id
where k.id = $1 and k.revoked_at is null
