-- Begin a family of refresh tokens, note when the person signed in, and sweep what has ended of the same person.
-- $1 tenant_id integer
-- $2 account_id integer
-- $3 sign_in_id text
-- $4 token_hash bytea
-- $5 scopes text[]
-- $6 now timestamptz
-- $7 expires_at timestamptz
with person as (
    update account set signed_in_at = $6
    where tenant_id = $1 and id = $2 and disabled_at is null
    returning id
),

swept as (
    delete from sign_in s
    using person p
    where s.account_id = p.id and (s.ended_at is not null or s.expires_at <= $6)
)

insert into sign_in (id, account_id, token_hash, scopes, created_at, expires_at)
select $3, p.id, $4, $5, $6, $7
from person p
