-- The rate of every pair that was the last one at a moment. Years of history are stepped over: each pair is found from
-- the one before it, and its rate from the end of its dates, by the primary key.
-- $1 at timestamptz
with recursive pair as (
    (select base, quote from exchange_rate order by base, quote limit 1)
    union all
    select following.base, following.quote
    from pair p
    cross join lateral (
        select r.base, r.quote
        from exchange_rate r
        where (r.base, r.quote) > (p.base, p.quote)
        order by r.base, r.quote
        limit 1
    ) following
)

select p.base, p.quote, latest.rate, latest.valid_at, latest.source
from pair p
cross join lateral (
    select r.rate, r.valid_at, r.source
    from exchange_rate r
    where r.base = p.base and r.quote = p.quote and r.valid_at <= $1
    order by r.valid_at desc
    limit 1
) latest
order by p.base, p.quote
