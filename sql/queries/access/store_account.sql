-- Keep a new person.
-- $1 tenant_id integer
-- $2 name text: case-folded
-- $3 password_hash text
-- $4 role text
-- $5 now timestamptz
insert into account (tenant_id, name, password_hash, role, created_at) values ($1, $2, $3, $4, $5)
