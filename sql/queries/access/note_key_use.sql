-- Note when keys were used last, many at once. A row that another process is writing is skipped, and one that was
-- written within half a minute is left as it is: what counts is the minute.
-- $1 key_ids text[]
-- $2 used_at timestamptz[]: parallel to $1
with used as (
    select k.id, u.used_at
    from unnest($1::text[], $2::timestamptz[]) as u (id, used_at)
    join api_key k on k.id = u.id
    where k.last_used_at is null or k.last_used_at < u.used_at - interval '30 seconds'
    for no key update of k skip locked
)

update api_key k set last_used_at = u.used_at
from used u
where k.id = u.id
