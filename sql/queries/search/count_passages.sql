-- About how many passages a generation has, by the statistics of its table (0 before they are first gathered).
-- $1 generation smallint
select coalesce((
    select greatest(c.reltuples, 0)::bigint from pg_class c
    where c.oid = to_regclass('passage_g' || $1::smallint)
), 0) as passages
