-- The answer that a request was given before. It must be asked for by a statement that begins after lock_request.sql has
-- ended: the snapshot of that one may be older than the commit that let the lock go.
-- $1 tenant_id integer
-- $2 id bytea
-- $3 since timestamptz: answers older than that count no more
select fingerprint, status, headers, body
from idempotency_answer
where tenant_id = $1 and id = $2 and created_at > $3
