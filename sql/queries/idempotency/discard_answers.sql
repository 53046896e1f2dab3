-- Remove answers of all tenants that count no more, the oldest first; how many. Processes that do so at once share them.
-- $1 before timestamptz
-- $2 most bigint
with old as materialized (
    select tenant_id, id
    from idempotency_answer
    where created_at <= $1
    order by created_at
    limit $2
    for update skip locked
),

gone as (
    delete from idempotency_answer a
    using old
    where a.tenant_id = old.tenant_id and a.id = old.id
    returning 1
)

select count(*) as discarded from gone
