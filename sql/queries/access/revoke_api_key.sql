-- End a key of a tenant; its id, or nothing when the tenant has no such living key.
-- $1 tenant_id integer
-- $2 key_id text
-- $3 now timestamptz
update api_key set revoked_at = $3
where tenant_id = $1 and id = $2 and revoked_at is null
returning id
