-- The postings nearest in meaning to a stored one, by the best pair of a passage of it and one of theirs, without copies.
-- A copy has the same text, or the same title and company and a passage that is nearly the same; of copies among the
-- neighbours the nearest stays.
-- $1 job_id bigint: the stored posting
-- $2 generation smallint
-- $3 tenant_id integer
-- $4 source text[]
-- $5 company text[]: case-folded
-- $6 location text: case-folded
-- $7 remote boolean
-- $8 employment_type text[]
-- $9 posted_after timestamptz: at or after
-- $10 posted_before timestamptz: before
-- $11 active boolean
-- $12 now timestamptz
-- $13 joined boolean: whether a filter needs the posting itself, not only what is copied beside its vectors
-- $14 exact boolean: look at every row behind the filters instead of using the index
-- $15 ef integer: hnsw.ef_search
-- $16 budget bigint: passages looked at from each passage of the posting
-- $17 floor double precision: similarity from which a posting is a neighbour
-- $18 count bigint: postings wanted
-- $19 own_most integer: passages of the posting that are looked from; of more, so many, spread evenly
-- $20 copy_similarity double precision: from which two passages are nearly the same
-- $21 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $22 pay_low double precision[]: its lower end for a month, in each of them
-- $23 pay_high double precision[]: its upper end for a month, in each of them
-- $24 unpriced boolean: whether postings without comparable pay pass it
with setting as materialized (
    -- local to this statement: no extra round trip, and the next statement has the defaults again
    select
        set_config('hnsw.ef_search', $15::integer::text, true) is not null
        and set_config('hnsw.iterative_scan', 'relaxed_order', true) is not null as done
),

origin as materialized (
    select j.id, j.text_hash, j.company_key, lower(j.title) as title_key
    from job j
    where j.id = $1 and j.tenant_id = $3
),

own as materialized (
    -- the vectors stay here: what is looked for never leaves the database
    select x.passage_no, x.embedding
    from (
        select
            v.passage_no, v.embedding,
            row_number() over (order by v.passage_no) - 1 as no,
            count(*) over () as passages
        from origin o
        join passage v on v.job_id = o.id
        where v.generation = $2
    ) x
    where x.no = 0 or x.no * $19::integer / x.passages > (x.no - 1) * $19::integer / x.passages
),

near as materialized (
    -- by the index; `done` is read first, so that the settings come before the scan
    select o.passage_no as own_no, p.* from setting s cross join own o cross join lateral (
        select v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding, v.embedding <#> o.embedding as distance
        from passage v
        where
            s.done and not $14::boolean
            and v.generation = $2 and v.tenant_id = $3
            and ($4::text[] is null or v.source = any($4))
            and ($9::timestamptz is null or v.posted_at >= $9)
            and ($10::timestamptz is null or v.posted_at < $10)
            -- a scalar, since the planner would hash the postings behind an exists, every one of them
            and (not $13::boolean or (
                select job_passes(j, null, $5, $6, $7, $8, null, null, $11, $12, $21, $22, $23, $24)
                from job j
                where j.id = v.job_id
            ))
        order by v.embedding <#> o.embedding
        limit $16
    ) p
    union all
    -- every row behind the filters; `+ 0` keeps the planner from using the index here
    select o.passage_no as own_no, p.* from own o cross join lateral (
        select v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding, v.embedding <#> o.embedding as distance
        from passage v
        where
            $14::boolean and not $13::boolean
            and v.generation = $2 and v.tenant_id = $3
            and ($4::text[] is null or v.source = any($4))
            and ($9::timestamptz is null or v.posted_at >= $9)
            and ($10::timestamptz is null or v.posted_at < $10)
        order by (v.embedding <#> o.embedding) + 0, v.job_id, v.passage_no
        limit $16
    ) p
    union all
    -- the same where a filter reads the posting: from there, so that a company of forty is not looked for in all rows
    select o.passage_no as own_no, p.* from own o cross join lateral (
        select v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding, v.embedding <#> o.embedding as distance
        from job j
        join passage v on v.job_id = j.id
        where
            $14::boolean and $13::boolean
            and v.generation = $2 and j.tenant_id = $3
            and job_passes(j, $4, $5, $6, $7, $8, $9, $10, $11, $12, $21, $22, $23, $24)
        order by (v.embedding <#> o.embedding) + 0, v.job_id, v.passage_no
        limit $16
    ) p
),

edge as materialized (
    -- how far each look went: the fewest rows that one saw, and the similarity down to which one was cut by its budget
    select
        coalesce(min(x.looked_at), 0) as least_looked_at,
        max(x.last_similarity) filter (where x.looked_at >= $16::bigint) as similarity
    from (
        select count(n.own_no) as looked_at, min(-n.distance) as last_similarity
        from own o
        left join near n on n.own_no = o.passage_no
        group by o.passage_no
    ) x
),

best as materialized (
    select distinct on (n.job_id)
        n.job_id, n.passage_no, n.body_start, n.body_end, n.embedding, -n.distance as similarity
    from near n
    where n.job_id <> $1 and -n.distance >= $17::double precision
    order by n.job_id, n.distance, n.passage_no, n.own_no
),

other as materialized (
    select
        b.*, j.text_hash, j.company_key, lower(j.title) as title_key,
        row_number() over (order by b.similarity desc, b.job_id) as no
    from best b
    join job j on j.id = b.job_id
    cross join origin o
    where
        j.text_hash <> o.text_hash
        and not (j.company_key = o.company_key and lower(j.title) = o.title_key and b.similarity >= $20)
),

hit as (
    select o.*, row_number() over (order by o.no) as place
    from other o
    where
        not exists (select from other n where n.text_hash = o.text_hash and n.no < o.no)
        and not exists (
            select from other n
            where
                n.company_key = o.company_key and n.title_key = o.title_key and n.no < o.no
                and -(n.embedding <#> o.embedding) >= $20
        )
    order by o.no
    limit $18
)

select
    j.id, j.title, j.company, j.source, j.external_id, j.description, j.location, j.remote, j.employment_type,
    j.salary_min, j.salary_max, j.currency, j.salary_period, j.url, j.posted_at, j.expires_at,
    j.version, j.created_at, j.updated_at,
    case
        when t.failed_at is not null then 'failed'
        when t.job_id is null and e.job_id is not null then 'done'
        else 'pending'
    end as embedding_state,
    t.reason as embedding_reason, e.generation as embedding_generation, e.coverage as embedding_coverage,
    h.place,
    h.similarity::double precision as similarity,
    h.body_start, h.body_end,
    -- while a changed text waits to be embedded, the old places mean nothing in it
    case when e.text_hash = j.text_hash then substr(j.body, h.body_start + 1, h.body_end - h.body_start) end as passage,
    (select count(*) from origin) > 0 as known,
    (select count(*) from own) as own_passages,
    (
        select case when w.failed_at is null then 'pending' else 'failed' end
        from origin o
        join embedding_task w on w.job_id = o.id
    ) as own_task,
    (select least_looked_at from edge) as least_looked_at,
    (select similarity from edge)::double precision as edge
-- one row also where nothing is found, for what is said of the whole
from (select 1 as one) whole
left join hit h on true
left join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = $2
order by h.place
