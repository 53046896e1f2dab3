-- Remove answers of all tenants that count no more, the oldest first; how many. Processes that do so at once share them.
-- They are locked before they are removed by their place, which then is theirs until the end of the statement.
-- $1 before timestamptz
-- $2 most bigint
with gone as (
    delete from idempotency_answer
    where ctid = any(array(
        select old.ctid
        from idempotency_answer old
        where old.created_at <= $1
        order by old.created_at
        limit $2
        for update skip locked
    ))
    returning 1
)

select count(*) as discarded from gone
