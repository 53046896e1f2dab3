-- A key that is not revoked, by its public half; one that has expired comes too, so that its holder can be told.
-- $1 key_id text
select k.id, k.tenant_id, t.name as tenant, k.name, k.secret_hash, k.scopes, k.rate, k.expires_at
from api_key k
join tenant t on t.id = k.tenant_id
where k.id = $1 and k.revoked_at is null
