-- The postings that hold the rarest words of a long text, without any vector, by the share of these words (by idf) that
-- they hold. What a posting says often counts no more than once: long texts repeat what is common.
-- $1 text text
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
-- $12 words_most bigint: words that are looked for, the rarest of the text
-- $13 word_budget integer: postings that they may lead to
-- $14 count bigint: postings wanted
-- $15 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $16 pay_low double precision[]: its lower end for a month, in each of them
-- $17 pay_high double precision[]: its upper end for a month, in each of them
-- $18 unpriced boolean: whether postings without comparable pay pass it
with term as materialized (
    -- the words without stop words; one that no posting had when they were counted comes last
    select
        q.lexeme, quote_literal(q.lexeme)::tsquery as word, c.ndoc,
        ln(1 + (greatest(n.jobs - c.ndoc, 0) + 0.5) / (c.ndoc + 0.5)) as idf
    from unnest(to_tsvector('english', $1)) q (lexeme, positions, weights)
    -- the limit tells the planner that it is one row, which a table this small has no statistics to say
    cross join (select jobs from term_stat_state limit 1) n
    left join term_stat s on s.lexeme = q.lexeme
    cross join lateral (select coalesce(s.ndoc, 0) as ndoc) c
    order by c.ndoc = 0, c.ndoc, q.lexeme
    limit $12
),

rare as materialized (
    -- the rarest, as many as are in 25 x word_budget postings together: the work is bounded whatever is asked
    select lexeme, word, idf
    from (select *, sum(ndoc) over (order by ndoc = 0, ndoc, lexeme) as so_far from term) x
    where so_far <= 25 * $13::integer
),

few as materialized (
    -- in the order of their words, so that postings are read only until there are enough
    select w.job_id, w.idf / (select sum(idf) from rare) as score
    from (
        select w.job_id, sum(r.idf) as idf
        from rare r
        join job_word w on w.words @@ r.word
        group by w.job_id
        order by sum(r.idf) desc, w.job_id
        offset 0
    ) w
    join job j on j.id = w.job_id
    where j.tenant_id = $2 and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $15, $16, $17, $18)
    order by w.idf desc, w.job_id
    limit $13
),

hit as (
    select f.*, row_number() over (order by f.score desc, f.job_id) as place
    from few f
    order by f.score desc, f.job_id
    limit $14
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
    null::double precision[] as similarities,
    null::text as quotes,
    (select count(*) from few) as total,
    0::bigint as looked_at,
    0::bigint as least_looked_at,
    null::double precision as edge,
    (select count(*) from few) >= $13::integer as is_cut
-- one row also where nothing is found, for what is said of the whole
from (select 1 as one) whole
left join hit h on whole.one = 1
left join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
order by h.place
