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
-- $12 word_budget integer: postings that the words may lead to
-- $13 count integer: postings wanted
-- $14 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $15 pay_low double precision[]: its lower end for a month, in each of them
-- $16 pay_high double precision[]: its upper end for a month, in each of them
-- $17 unpriced boolean: whether postings without comparable pay pass it
with term as materialized (
    -- the words of the query without stop words; a word that no statistics know counts as rare
    select
        q.lexeme, quote_literal(q.lexeme)::tsquery as word, coalesce(s.ndoc, 0) as ndoc,
        ln(1 + (greatest(n.jobs - coalesce(s.ndoc, 0), 0) + 0.5) / (coalesce(s.ndoc, 0) + 0.5)) as idf
    from unnest(to_tsvector('english', $1)) q
    -- the limit tells the planner that it is one row, which a table this small has no statistics to say
    cross join (select jobs from term_stat_state limit 1) n
    left join term_stat s on s.lexeme = q.lexeme
),

rare as materialized (
    -- the rarest words, as many as are in 25 x word_budget postings together: the work is bounded whatever is asked
    select word, idf
    from (select *, sum(ndoc) over (order by ndoc, lexeme) as so_far from term) x
    where so_far <= 25 * $12::integer
),

few as materialized (
    select w.job_id
    from rare r
    join job_word w on w.words @@ r.word
    join job j on j.id = w.job_id
    where j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $14, $15, $16, $17)
    group by w.job_id
    order by sum(r.idf) desc, w.job_id
    limit $12
),

every as materialized (
    -- common words only: those that hold all of them
    select w.job_id
    from job_word w
    join job j on j.id = w.job_id
    where
        w.words @@ (select string_agg(t.word::text, ' & ')::tsquery from term t where t.ndoc > 0)
        and j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $14, $15, $16, $17)
    limit $12
),

some_common as materialized (
    -- the rarest of the words that are too common to look all of them up: the first postings that hold it
    select w.job_id
    from (
        select t.word from term t
        where t.ndoc > 0 and not exists (select from rare r where r.word = t.word)
        order by t.ndoc, t.lexeme
        limit 1
    ) common
    join job_word w on w.words @@ common.word
    join job j on j.id = w.job_id
    where j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $14, $15, $16, $17)
    limit $12
),

match as materialized (
    select
        w.job_id,
        coalesce((select sum(t.idf) from term t where w.words @@ t.word) / nullif((select sum(idf) from term), 0), 0)
            as coverage
    from (
        select job_id from few
        union select job_id from every
        union select job_id from some_common
    ) candidate
    join job_word w on w.job_id = candidate.job_id
),

ranked as (
    -- ts_rank reads the long form of the words, so only of the best
    select
        m.job_id, m.coverage,
        (select sum(t.idf * ts_rank('{.8, .8, .8, 1}', j.words, t.word, 1)) / sum(t.idf) from term t) as score
    from (select * from match order by coverage desc, job_id limit greatest($13::integer, 100)) m
    join job j on j.id = m.job_id
),

hit as (
    select * from ranked
    order by score desc, job_id
    limit $13
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
    h.score::double precision as score,
    null::double precision as similarity,
    h.coverage::double precision as coverage,
    null::smallint as passage_no, null::integer as body_start, null::integer as body_end, null::text as passage,
    (select count(*) from match) as total,
    0::bigint as looked_at,
    0::double precision as last_similarity,
    (select count(*) >= $12::integer from few)
    or (select count(*) >= $12::integer from every)
    or (select count(*) >= $12::integer from some_common) as words_cut
from hit h
join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
order by h.score desc, h.job_id
