-- Keep the answer to a request, in place of one that counts no more.
-- $1 tenant_id integer
-- $2 id bytea
-- $3 fingerprint bytea
-- $4 status smallint
-- $5 headers json: an object
-- $6 body bytea
-- $7 now timestamptz
insert into idempotency_answer (tenant_id, id, fingerprint, status, headers, body, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict on constraint idempotency_answer_pkey do update set
    fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers, body = excluded.body,
    created_at = excluded.created_at
