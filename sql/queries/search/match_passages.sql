-- The postings that answer most of a long text: the weighted mean, over its pieces, of the best similarity between the
-- piece and a passage of the posting (late interaction, as MaxSim of ColBERT: Khattab & Zaharia 2020, but over passages).
-- $1 vectors halfvec[]: the pieces, of the generation's model
-- $2 weights double precision[]: of the pieces
-- $3 generation smallint
-- $4 tenant_id integer
-- $5 source text[]
-- $6 company text[]: case-folded
-- $7 location text: case-folded
-- $8 remote boolean
-- $9 employment_type text[]
-- $10 posted_after timestamptz: at or after
-- $11 posted_before timestamptz: before
-- $12 active boolean
-- $13 now timestamptz
-- $14 joined boolean: whether a filter needs the posting itself, not only what is copied beside its vectors
-- $15 exact boolean: look at every row behind the filters instead of using the index
-- $16 ef integer: hnsw.ef_search
-- $17 budget bigint: passages looked at for each piece
-- $18 candidates bigint: postings that are scored
-- $19 floor double precision: score from which a posting matches
-- $20 count bigint: postings wanted
-- $21 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $22 pay_low double precision[]: its lower end for a month, in each of them
-- $23 pay_high double precision[]: its upper end for a month, in each of them
-- $24 unpriced boolean: whether postings without comparable pay pass it
with setting as materialized (
    -- local to this statement: no extra round trip, and the next statement has the defaults again
    select
        set_config('hnsw.ef_search', $16::integer::text, true) is not null
        and set_config('hnsw.iterative_scan', 'relaxed_order', true) is not null as done
),

piece as materialized (
    select u.no, u.embedding, u.weight / sum(u.weight) over () as weight
    from unnest($1::halfvec[], $2::double precision[]) with ordinality u (embedding, weight, no)
),

near as materialized (
    -- by the index; `done` is read first, so that the settings come before the scan
    select p.no, n.* from setting s cross join piece p cross join lateral (
        select v.job_id, -(v.embedding <#> p.embedding) as similarity
        from passage v
        where
            s.done and not $15::boolean
            and v.generation = $3 and v.tenant_id = $4
            and ($5::text[] is null or v.source = any($5))
            and ($10::timestamptz is null or v.posted_at >= $10)
            and ($11::timestamptz is null or v.posted_at < $11)
            -- a scalar, since the planner would hash the postings behind an exists, every one of them
            and (not $14::boolean or (
                select job_passes(j, null, $6, $7, $8, $9, null, null, $12, $13, $21, $22, $23, $24)
                from job j
                where j.id = v.job_id
            ))
        order by v.embedding <#> p.embedding
        limit $17
    ) n
    union all
    -- every row behind the filters; `+ 0` keeps the planner from using the index here
    select p.no, n.* from piece p cross join lateral (
        select v.job_id, -(v.embedding <#> p.embedding) as similarity
        from passage v
        where
            $15::boolean and not $14::boolean
            and v.generation = $3 and v.tenant_id = $4
            and ($5::text[] is null or v.source = any($5))
            and ($10::timestamptz is null or v.posted_at >= $10)
            and ($11::timestamptz is null or v.posted_at < $11)
        order by (v.embedding <#> p.embedding) + 0, v.job_id
        limit $17
    ) n
    union all
    -- the same where a filter reads the posting: from there, so that a company of forty is not looked for in all rows
    select p.no, n.* from piece p cross join lateral (
        select v.job_id, -(v.embedding <#> p.embedding) as similarity
        from job j
        join passage v on v.job_id = j.id
        where
            $15::boolean and $14::boolean
            and v.generation = $3 and j.tenant_id = $4
            and job_passes(j, $5, $6, $7, $8, $9, $10, $11, $12, $13, $21, $22, $23, $24)
        order by (v.embedding <#> p.embedding) + 0, v.job_id
        limit $17
    ) n
),

edge as materialized (
    -- how far the look for each piece went: what it has not seen is at most as near as the last that it saw
    select p.no, p.weight, count(n.no) as looked_at, coalesce(min(n.similarity), 0) as similarity
    from piece p
    left join near n on n.no = p.no
    group by p.no, p.weight
),

candidate as materialized (
    -- those that can score highest, were each as near to the pieces that did not see it as those allow
    select b.job_id
    from (select n.no, n.job_id, max(n.similarity) as similarity from near n group by n.no, n.job_id) b
    join edge e on e.no = b.no
    group by b.job_id
    order by sum(e.weight * (b.similarity - e.similarity)) desc, b.job_id
    limit $18
),

pair as materialized (
    -- the best passage of each candidate for each piece
    select distinct on (c.job_id, p.no)
        c.job_id, p.no, p.weight, v.body_start, v.body_end, -(v.embedding <#> p.embedding) as similarity
    from candidate c
    join passage v on v.job_id = c.job_id
    cross join piece p
    where v.generation = $3
    order by c.job_id, p.no, (v.embedding <#> p.embedding) + 0, v.passage_no
),

match as materialized (
    select m.job_id, m.score, m.similarities
    from (
        select
            p.job_id,
            least(1, sum(p.weight * greatest(p.similarity, 0))) as score,
            array_agg(p.similarity order by p.no) as similarities
        from pair p
        group by p.job_id
    ) m
    where m.score >= $19::double precision
),

hit as materialized (
    select m.*, row_number() over (order by m.score desc, m.job_id) as place
    from match m
    order by m.score desc, m.job_id
    limit $20
),

quote as (
    -- the pieces that fit best, with their passages; while a changed text waits to be embedded, the old places mean nothing
    select
        q.job_id,
        jsonb_agg(jsonb_build_object(
            'piece', q.no, 'similarity', q.similarity, 'start', q.body_start, 'text',
            case when e.text_hash = j.text_hash then substr(j.body, q.body_start + 1, q.body_end - q.body_start) end
        ) order by q.rank)::text as quotes
    from (
        select p.*, row_number() over (partition by p.job_id order by p.similarity desc, p.no) as rank
        from pair p
        join hit h on h.job_id = p.job_id
    ) q
    join job j on j.id = q.job_id
    left join embedded e on e.job_id = q.job_id and e.generation = $3
    where q.rank <= 3
    group by q.job_id
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
    h.score::double precision as score,
    h.similarities,
    q.quotes,
    (select count(*) from match) as total,
    (select count(*) from near) as looked_at,
    (select coalesce(min(looked_at), 0) from edge) as least_looked_at,
    -- what no piece has seen scores less than this; nothing is left where one has seen all
    case
        when (select min(looked_at) from edge) >= $17::bigint
            then (select sum(weight * greatest(similarity, 0)) from edge)::double precision
    end as edge,
    (select count(*) from candidate) >= $18::bigint as is_cut
-- one row also where nothing is found, for what is said of the whole
from (select 1 as one) whole
left join hit h on true
left join quote q on q.job_id = h.job_id
left join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = $3
order by h.place
