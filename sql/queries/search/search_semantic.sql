-- The postings nearest in meaning, the best passage of each.
-- $1 vector halfvec: the query, of the generation's model
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
-- $16 budget bigint: passages looked at
-- $17 floor double precision: similarity from which a posting matches
-- $18 count bigint: postings wanted
-- $19 since timestamptz: when the first page was asked; null on the first page
-- $20 inner double precision: pages before this ring held everything from this similarity on; null in the first ring
-- $21 after_score double precision: the last hit of the page before; null on the first page
-- $22 after_id bigint
-- $23 half_life_days double precision: age in which a score halves; null: age does not count
-- $24 facets text[]: source, company, location, employment_type, currency
-- $25 explained boolean: whether ranks are wanted
-- $26 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $27 pay_low double precision[]: its lower end for a month, in each of them
-- $28 pay_high double precision[]: its upper end for a month, in each of them
-- $29 unpriced boolean: whether postings without comparable pay pass it
with setting as materialized (
    -- local to this statement: no extra round trip, and the next statement has the defaults again
    select
        set_config('hnsw.ef_search', $15::integer::text, true) is not null
        and set_config('hnsw.iterative_scan', 'relaxed_order', true) is not null as done
),

near as materialized (
    -- by the index; `done` is read first, so that the settings come before the scan
    select p.* from setting s cross join lateral (
        select v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding <#> $1 as distance
        from passage v
        where
            s.done and not $14::boolean
            and v.generation = $2 and v.tenant_id = $3
            and ($4::text[] is null or v.source = any($4))
            and ($9::timestamptz is null or v.posted_at >= $9)
            and ($10::timestamptz is null or v.posted_at < $10)
            -- a scalar, since the planner would hash the postings behind an exists, every one of them
            and (not $13::boolean or (
                select job_passes(j, null, $5, $6, $7, $8, null, null, $11, $12, $26, $27, $28, $29)
                from job j
                where j.id = v.job_id
            ))
        order by v.embedding <#> $1
        limit $16
    ) p
    union all
    -- every row behind the filters, the best passage of each posting; `+ 0` keeps the planner from using the index here
    (select p.* from (
        select distinct on (v.job_id) v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding <#> $1 as distance
        from passage v
        where
            $14::boolean and not $13::boolean
            and v.generation = $2 and v.tenant_id = $3
            and ($4::text[] is null or v.source = any($4))
            and ($9::timestamptz is null or v.posted_at >= $9)
            and ($10::timestamptz is null or v.posted_at < $10)
        order by v.job_id, (v.embedding <#> $1) + 0, v.passage_no
    ) p
    order by p.distance, p.job_id
    limit $16)
    union all
    -- the same where a filter reads the posting: from there, so that a company of forty is not looked for in all rows
    (select p.* from (
        select distinct on (v.job_id) v.job_id, v.passage_no, v.body_start, v.body_end, v.embedding <#> $1 as distance
        from job j
        join passage v on v.job_id = j.id
        where
            $14::boolean and $13::boolean
            and v.generation = $2 and j.tenant_id = $3
            and job_passes(j, $4, $5, $6, $7, $8, $9, $10, $11, $12, $26, $27, $28, $29)
        order by v.job_id, (v.embedding <#> $1) + 0, v.passage_no
    ) p
    order by p.distance, p.job_id
    limit $16)
),

edge as materialized (
    -- whatever is at least this near has been seen: down to the floor, or to where the budget ended the look
    select
        count(*) as looked_at,
        coalesce(min(-distance), 0) as last_similarity,
        greatest($17::double precision, case when count(*) >= $16::bigint then min(-distance) end) as similarity
    from near
),

best as materialized (
    select distinct on (job_id) job_id, passage_no, body_start, body_end, -distance as similarity
    from near
    order by job_id, distance, passage_no
),

match as materialized (
    select
        b.*,
        coalesce(fresh.factor, 1) as factor,
        least(1, greatest(b.similarity, 0)) * coalesce(fresh.factor, 1) as score
    from best b
    -- on later pages: what was stored or changed since the first is left out, since it may have been shown already
    left join lateral (
        select
            j.created_at > $19::timestamptz
            or (j.updated_at > $19::timestamptz and (
                $23::double precision is not null
                -- a scalar, since the planner would hash the whole queue behind an exists
                or coalesce(
                    (select t.created_at > $19::timestamptz from embedding_task t where t.job_id = j.id), false
                )
            ))
            -- of a text that was changed before, the old vectors counted until then
            or (coalesce(e.embedded_at > $19::timestamptz, false) and j.version > 1) as changed,
            coalesce(e.embedded_at > $19::timestamptz, false) as later
        from job j
        left join embedded e on e.job_id = j.id and e.generation = $2
        where j.id = b.job_id and $19::timestamptz is not null
    ) s on true
    left join lateral (
        -- past 500 halvings power would fail for being next to nothing
        select power(
            0.5,
            least(
                greatest(extract(epoch from $12 - coalesce(j.posted_at, j.created_at)), 0)
                / 86400.0 / $23::double precision,
                500
            )
        ) as factor
        from job j
        where j.id = b.job_id and $23::double precision is not null
    ) fresh on true
    where
        b.similarity >= (select similarity from edge)
        and not coalesce(s.changed or s.later, false)
),

hit as (
    select m.*, row_number() over (order by m.score desc, m.job_id) as place
    from match m
    where
        ($20::double precision is null or m.similarity < $20)
        and (
            $21::double precision is null or m.score < $21
            or (m.score = $21 and m.job_id > $22::bigint)
        )
    order by m.score desc, m.job_id
    limit $18
),

place as (
    select
        job_id,
        rank() over (order by similarity desc) as semantic_rank
    from match
    where $25::boolean
),

facet as (
    -- the commonest values of the matches, company and place by their folded form
    select jsonb_object_agg(f.name, f.counts)::text as counts
    from (
        select
            c.name,
            jsonb_agg(jsonb_build_object('value', c.value, 'count', c.jobs) order by c.jobs desc, c.value) as counts
        from (
            select
                x.name, min(x.value) as value, count(*) as jobs,
                row_number() over (partition by x.name order by count(*) desc, min(x.value)) as no
            from match m
            join job j on j.id = m.job_id
            cross join lateral (values
                ('source', j.source, j.source),
                ('company', j.company_key, j.company),
                ('location', j.location_key, j.location),
                ('employment_type', j.employment_type, j.employment_type),
                ('currency', j.currency, j.currency)
            ) x (name, key, value)
            where x.name = any($24::text[]) and x.value is not null
            group by x.name, x.key
        ) c
        where c.no <= 50
        group by c.name
    ) f
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
    h.factor::double precision as factor,
    h.similarity::double precision as similarity,
    null::double precision as coverage,
    r.semantic_rank, null::bigint as lexical_rank,
    h.passage_no, h.body_start, h.body_end,
    -- while a changed text waits to be embedded, the old places mean nothing in it
    case when e.text_hash = j.text_hash then substr(j.body, h.body_start + 1, h.body_end - h.body_start) end as passage,
    (select count(*) from match) as total,
    (select looked_at from edge) as looked_at,
    (select last_similarity from edge)::double precision as last_similarity,
    false as words_cut,
    0::double precision as weight,
    case when coalesce(h.place, 1) = 1 then (select counts from facet) end as facets,
    null::integer[] as ndocs, null::integer as jobs
-- one row also where nothing is found, for what is said of the whole
from (select 1 as one) whole
left join hit h on true
left join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
left join place r on r.job_id = h.job_id
order by h.place
