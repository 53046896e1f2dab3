-- The postings nearest in meaning and those that hold the query's rare words, scored alike:
-- (similarity + weight x share of the query's words, by idf, that the posting holds) / (1 + weight).
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
-- $19 text text: the query
-- $20 weight double precision: of the words beside the meaning
-- $21 word_budget integer: postings that the words may lead to
-- $22 unembedded double precision: similarity that a posting without vectors counts with
-- $23 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $24 pay_low double precision[]: its lower end for a month, in each of them
-- $25 pay_high double precision[]: its upper end for a month, in each of them
-- $26 unpriced boolean: whether postings without comparable pay pass it
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
            and (not $13::boolean or exists (
                select from job j
                where j.id = v.job_id and job_passes(
                        j, null, $5, $6, $7, $8, null, null, $11, $12, $23, $24, $25, $26
                    )
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
            and job_passes(j, $4, $5, $6, $7, $8, $9, $10, $11, $12, $23, $24, $25, $26)
        order by v.job_id, (v.embedding <#> $1) + 0, v.passage_no
    ) p
    order by p.distance, p.job_id
    limit $16)
),

term as materialized (
    -- the words of the query without stop words; a word that no statistics know counts as rare
    select
        q.lexeme, quote_literal(q.lexeme)::tsquery as word, coalesce(s.ndoc, 0) as ndoc,
        ln(1 + (greatest(n.jobs - coalesce(s.ndoc, 0), 0) + 0.5) / (coalesce(s.ndoc, 0) + 0.5)) as idf
    from unnest(to_tsvector('english', $19)) q
    -- the limit tells the planner that it is one row, which a table this small has no statistics to say
    cross join (select jobs from term_stat_state limit 1) n
    left join term_stat s on s.lexeme = q.lexeme
),

rare as materialized (
    -- the rarest words, as many as are in 5 x word_budget postings together: the work is bounded whatever is asked
    select word, idf
    from (select *, sum(ndoc) over (order by ndoc, lexeme) as so_far from term) x
    where so_far <= 5 * $21::integer
),

word as materialized (
    select w.job_id
    from rare r
    join job_word w on w.words @@ r.word
    join job j on j.id = w.job_id
    where j.tenant_id = $3 and job_passes(j, $4, $5, $6, $7, $8, $9, $10, $11, $12, $23, $24, $25, $26)
    group by w.job_id
    order by sum(r.idf) desc, w.job_id
    limit $21
),

best as materialized (
    -- each candidate's best passage; one found by its words that has no vectors yet counts with the least similarity of
    -- a match, so that what came in a moment ago is not ranked behind everything
    select distinct on (job_id) job_id, passage_no, body_start, body_end, -distance as similarity
    from (
        select * from near
        union all
        select word.job_id, p.passage_no, p.body_start, p.body_end, coalesce(p.distance, -$22::double precision)
        from word
        left join lateral (
            select v.passage_no, v.body_start, v.body_end, v.embedding <#> $1 as distance
            from passage v
            where v.generation = $2 and v.job_id = word.job_id
        ) p on true
    ) x
    order by job_id, distance, passage_no
),

scored as materialized (
    select
        b.*,
        coalesce((select sum(t.idf) from term t where w.words @@ t.word) / nullif((select sum(idf) from term), 0), 0)
            as coverage,
        exists(select from rare r where w.words @@ r.word) as has_word
    from best b
    join job_word w on w.job_id = b.job_id
),

match as materialized (
    select *, (least(1, greatest(similarity, 0)) + $20::double precision * coverage) / (1 + $20::double precision)
            as score
    from scored
    where similarity >= $17::double precision or has_word
),

hit as (
    select * from match
    order by score desc, job_id
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
    h.score::double precision as score,
    h.similarity::double precision as similarity,
    h.coverage::double precision as coverage,
    h.passage_no, h.body_start, h.body_end,
    -- while a changed text waits to be embedded, the old places mean nothing in it
    case when e.text_hash = j.text_hash then substr(j.body, h.body_start + 1, h.body_end - h.body_start) end as passage,
    (select count(*) from match) as total,
    (select count(*) from near) as looked_at,
    (select coalesce(min(-distance), 0) from near)::double precision as last_similarity,
    (select count(*) >= $21::integer from word) as words_cut
from hit h
join job j on j.id = h.job_id
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
order by h.score desc, h.job_id
