-- Keep a new key: its public half and the hash of its secret half.
-- $1 tenant_id integer
-- $2 key_id text
-- $3 name text
-- $4 secret_hash bytea
-- $5 scopes text[]
-- $6 rate text: null: the rate of the settings
-- $7 now timestamptz
-- $8 expires_at timestamptz: null: never
insert into api_key (id, tenant_id, name, secret_hash, scopes, rate, created_at, expires_at)
values ($2, $1, $3, $4, $5, $6, $7, $8)
