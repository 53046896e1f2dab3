-- Replace the hash of a password, unless another one was set since the old hash was read.
-- $1 tenant_id integer
-- $2 account_id integer
-- $3 old_hash text
-- $4 new_hash text
update account set password_hash = $4
where tenant_id = $1 and id = $2 and password_hash = $3
