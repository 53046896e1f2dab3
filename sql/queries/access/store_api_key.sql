-- Keep a new key: its public half and the hash of its secret half.
-- $1 key_id text
-- $2 tenant_id integer
-- $3 name text
-- $4 secret_hash bytea
-- $5 scopes text[]
-- $6 now timestamptz
insert into api_key (id, tenant_id, name, secret_hash, scopes, created_at)
values ($1, $2, $3, $4, $5, $6)
