-- Put a new key in the place of a living one that has not been replaced yet, which ends after the overlap. The new one
-- is good for as long as the old one was meant to be. Two who rotate one key at once: the second finds it replaced.
-- $1 tenant_id integer
-- $2 key_id text
-- $3 new_id text
-- $4 secret_hash bytea: of the new key
-- $5 now timestamptz
-- $6 ends_at timestamptz: of the old key, unless it expires before
with old as materialized (
    select id, name, scopes, rate, created_at, expires_at
    from api_key
    where
        tenant_id = $1 and id = $2 and revoked_at is null and replaced_by is null
        and (expires_at is null or expires_at > $5)
    for update
),

ending as (
    update api_key k set expires_at = least(o.expires_at, $6), replaced_by = $3
    from old o
    where k.tenant_id = $1 and k.id = o.id
)

insert into api_key (id, tenant_id, name, secret_hash, scopes, rate, created_at, expires_at)
select $3, $1, o.name, $4, o.scopes, o.rate, $5, $5 + (o.expires_at - o.created_at)
from old o
returning id
