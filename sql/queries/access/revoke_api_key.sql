-- End a key; its id, or nothing when there is no such living key.
-- $1 key_id text
-- $2 now timestamptz
update api_key set revoked_at = $2
where id = $1 and revoked_at is null
returning id
