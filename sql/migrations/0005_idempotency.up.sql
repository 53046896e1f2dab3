-- Answers that a repeated request gets again, written by the transaction that wrote what they tell of.

-- `id` is the SHA-256 of who called, which way, and of the key, which may hold anything and is not kept itself.
-- `fingerprint` is that of what was asked for. A row counts for a day, and is gone minutes later.
create table idempotency_answer (
    tenant_id integer not null,
    id bytea not null,
    fingerprint bytea not null,
    status smallint not null,
    headers json not null,
    body bytea not null,
    created_at timestamptz not null,
    constraint idempotency_answer_pkey primary key (tenant_id, id),
    constraint idempotency_answer_tenant_id_fkey foreign key (tenant_id) references tenant (id) on delete cascade
);
create index idempotency_answer_created_at_idx on idempotency_answer (created_at);
