-- The postings that hold the query's words, without any vector: nearly BM25, as sum(idf x ts_rank of one word).
-- $1 text text: the query
-- $2 tenant_id integer
-- $3 source text[]
-- $4 company text[]: case-folded
-- $5 location text: case-folded
-- $6 remote boolean
-- $7 employment_type text[]
-- $8 posted_after timestamptz: at or after
-- $9 posted_before timestamptz: before
-- $10 active boolean
-- $11 now timestamptz
-- $12 word_budget integer: postings that each way of looking may lead to
-- $13 count bigint: postings wanted
-- $14 since timestamptz: when the first page was asked; null on the first page
-- $15 after_score double precision: the last hit of the page before; null on the first page
-- $16 after_id bigint
-- $17 half_life_days double precision: age in which a score halves; null: age does not count
-- $18 facets text[]: source, company, location, employment_type, currency
-- $19 explained boolean: whether ranks are wanted
-- $20 ndocs integer[]: postings that hold each word, as counted for the first page; null: as counted last
-- $21 jobs integer: postings in all at that time
-- $22 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $23 pay_low double precision[]: its lower end for a month, in each of them
-- $24 pay_high double precision[]: its upper end for a month, in each of them
-- $25 unpriced boolean: whether postings without comparable pay pass it
with term as materialized (
    -- the words of the query without stop words; a word that no statistics know counts as rare
    select
        q.lexeme, q.no, quote_literal(q.lexeme)::tsquery as word, c.ndoc, c.counted, n.jobs,
        ln(1 + (greatest(n.jobs - c.ndoc, 0) + 0.5) / (c.ndoc + 0.5)) as idf
    from unnest(to_tsvector('english', $1)) with ordinality q (lexeme, positions, weights, no)
    -- the limit tells the planner that it is one row, which a table this small has no statistics to say
    cross join (select coalesce($21::integer, jobs) as jobs from term_stat_state limit 1) n
    left join term_stat s on s.lexeme = q.lexeme
    cross join lateral (select coalesce(($20::integer[])[q.no], s.ndoc, 0) as ndoc, coalesce(s.ndoc, 0) as counted) c
),

rare as materialized (
    -- the rarest words, as many as are in 25 x word_budget postings together: the work is bounded whatever is asked
    select lexeme, word, idf
    -- what a cursor says of a word is believed within reason, since callers can write one
    from (select *, sum(greatest(ndoc, counted / 2)) over (order by ndoc, lexeme) as so_far from term) x
    where so_far <= 25 * $12::integer
),

frequent as materialized (
    select t.lexeme, t.word, t.ndoc from term t
    where t.ndoc > 0 and not exists (select from rare r where r.lexeme = t.lexeme)
),

few as materialized (
    -- in the order of their words, so that postings are read only until there are enough
    select w.job_id
    from (
        select w.job_id, sum(r.idf) as idf
        from rare r
        join job_word w on w.words @@ r.word
        group by w.job_id
        order by sum(r.idf) desc, w.job_id
        offset 0
    ) w
    join job j on j.id = w.job_id
    where
        j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $22, $23, $24, $25)
        and j.created_at <= coalesce($14::timestamptz, 'infinity')
    order by w.idf desc, w.job_id
    limit $12
),

every as materialized (
    -- common words only: those that hold all of them
    select w.job_id
    from job_word w
    join job j on j.id = w.job_id
    where
        w.words @@ (select string_agg(t.word::text, ' & ')::tsquery from term t where t.ndoc > 0)
        and j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $22, $23, $24, $25)
        and j.created_at <= coalesce($14::timestamptz, 'infinity')
    limit $12
),

some_frequent as materialized (
    -- the rarest of the words that are too common to look all of them up: the first postings that hold it
    select w.job_id
    from (select f.word from frequent f order by f.ndoc, f.lexeme limit 1) one
    join job_word w on w.words @@ one.word
    join job j on j.id = w.job_id
    where
        j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $22, $23, $24, $25)
        and j.created_at <= coalesce($14::timestamptz, 'infinity')
    limit $12
),

candidate as materialized (
    select
        b.job_id,
        coalesce((select sum(t.idf) from term t where w.words @@ t.word) / nullif((select sum(idf) from term), 0), 0)
            as coverage
    from (
        select job_id from few
        union select job_id from every
        union select job_id from some_frequent
    ) b
    join job_word w on w.job_id = b.job_id
    -- on later pages: what was stored or changed since the first is left out, since it may have been shown already
    left join lateral (
        select
            j.created_at > $14::timestamptz
            or (j.updated_at > $14::timestamptz and (
                $17::double precision is not null
                -- a scalar, since the planner would hash the whole queue behind an exists
                or coalesce(
                    (select t.created_at > $14::timestamptz from embedding_task t where t.job_id = j.id), false
                )
            ))
            -- of a text that was changed before, the old vectors counted until then
            or (coalesce(e.embedded_at > $14::timestamptz, false) and j.version > 1) as changed,
            coalesce(e.embedded_at > $14::timestamptz, false) as later
        from job j
        left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
        where j.id = b.job_id and $14::timestamptz is not null
    ) s on true
    where not coalesce(s.changed, false)
),

match as materialized (
    select
        b.*,
        coalesce(fresh.factor, 1) as factor,
        (select sum(t.idf * ts_rank('{.8, .8, .8, 1}', r.words, t.word, 1)) / sum(t.idf) from term t)
        * coalesce(fresh.factor, 1) as score
    from candidate b
    join job r on r.id = b.job_id
    left join lateral (
        -- past 500 halvings power would fail for being next to nothing
        select power(
            0.5,
            least(
                greatest(extract(epoch from $11 - coalesce(j.posted_at, j.created_at)), 0)
                / 86400.0 / $17::double precision,
                500
            )
        ) as factor
        from job j
        where j.id = b.job_id and $17::double precision is not null
    ) fresh on true
),

hit as (
    select m.*, row_number() over (order by m.score desc, m.job_id) as place
    from match m
    where (
            $15::double precision is null or m.score < $15
            or (m.score = $15 and m.job_id > $16::bigint)
        )
    order by m.score desc, m.job_id
    limit $13
),

place as (
    select job_id, rank() over (order by score desc) as lexical_rank
    from match
    where $19::boolean
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
            where x.name = any($18::text[]) and x.value is not null
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
    null::double precision as similarity,
    h.coverage::double precision as coverage,
    null::bigint as semantic_rank, r.lexical_rank,
    null::smallint as passage_no, null::integer as body_start, null::integer as body_end, null::text as passage,
    (select count(*) from match) as total,
    0::bigint as looked_at,
    0::double precision as last_similarity,
    (select count(*) >= $12::integer from few)
    or (select count(*) >= $12::integer from every)
    or (select count(*) >= $12::integer from some_frequent)
    or (select count(*) > 1 from frequent) as words_cut,
    0::double precision as weight,
    case when coalesce(h.place, 1) = 1 then (select counts from facet) end as facets,
    (select array_agg(ndoc order by no) from term) as ndocs, (select min(jobs) from term) as jobs
-- one row also where nothing is found, for what is said of the whole
from (select 1 as one) whole
left join hit h on true
left join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
left join place r on r.job_id = h.job_id
order by h.place
