-- A page of a tenant's postings, the last received first.
-- $1 tenant_id integer
-- $2 before bigint: only ids below it (null: from the newest)
-- $3 keyword text: words that must all occur (null: any), in web-search syntax
-- $4 source text[]
-- $5 company text[]: case-folded
-- $6 location text: case-folded
-- $7 remote boolean
-- $8 employment_type text[]
-- $9 posted_after timestamptz: at or after
-- $10 posted_before timestamptz: before
-- $11 active boolean
-- $12 now timestamptz
-- $13 count bigint: rows wanted
-- $14 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $15 pay_low double precision[]: its lower end for a month, in each of them
-- $16 pay_high double precision[]: its upper end for a month, in each of them
-- $17 unpriced boolean: whether postings without comparable pay pass it
select
    j.id, j.title, j.company, j.source, j.external_id, j.description, j.location, j.remote, j.employment_type,
    j.salary_min, j.salary_max, j.currency, j.salary_period, j.url, j.posted_at, j.expires_at,
    j.version, j.created_at, j.updated_at,
    case
        when t.failed_at is not null then 'failed'
        when t.job_id is null and e.job_id is not null then 'done'
        else 'pending'
    end as embedding_state,
    t.reason as embedding_reason, e.generation as embedding_generation, e.coverage as embedding_coverage
from job j
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
where
    j.tenant_id = $1
    and ($2::bigint is null or j.id < $2)
    and ($3::text is null or case
        -- a phrase, which a hyphen or an apostrophe makes too, needs positions, which job_word has not: it only narrows
        -- down whose long words are read, by the same words in any order; what is negated cannot narrow down
        when websearch_to_tsquery('english', $3)::text like '%<%>%' then
            (
                websearch_to_tsquery('english', $3)::text like '%!%'
                or exists (
                    select from job_word w
                    where
                        w.job_id = j.id
                        and w.words @@ regexp_replace(
                            websearch_to_tsquery('english', $3)::text, '<[-0-9]+>', '&', 'g'
                        )::tsquery
                )
            )
            and j.words @@ websearch_to_tsquery('english', $3)
        else exists (
            select from job_word w where w.job_id = j.id and w.words @@ websearch_to_tsquery('english', $3)
        )
    end)
    and job_passes(j, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, $15, $16, $17)
order by j.id desc
limit $13
