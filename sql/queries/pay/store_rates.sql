-- Keep rates; one that is there for its moment is replaced. The arrays are parallel, each pair and moment at most once.
-- $1 base text[]
-- $2 quote text[]
-- $3 rate double precision[]
-- $4 valid_at timestamptz[]
-- $5 source text[]
-- $6 now timestamptz
insert into exchange_rate (base, quote, rate, valid_at, source, fetched_at)
select given.base, given.quote, given.rate, given.valid_at, given.source, $6
from unnest($1::text[], $2::text[], $3::double precision[], $4::timestamptz[], $5::text[])
    as given (base, quote, rate, valid_at, source)
order by given.base, given.quote, given.valid_at
on conflict on constraint exchange_rate_pkey do update set
    rate = excluded.rate, source = excluded.source, fetched_at = excluded.fetched_at
