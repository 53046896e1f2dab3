-- All of a tenant's postings behind the filters as cells of a table, in the order of their ids.
-- It runs inside COPY. Text that begins as a formula might gets an apostrophe before it.
-- $1 tenant_id integer
-- $2 keyword text: words that must all occur (null: any), in web-search syntax
-- $3 source text[]
-- $4 company text[]: case-folded
-- $5 location text: case-folded
-- $6 remote boolean
-- $7 employment_type text[]
-- $8 posted_after timestamptz: at or after
-- $9 posted_before timestamptz: before
-- $10 active boolean
-- $11 now timestamptz
-- $12 pay_currency text[]: currencies that the filter on pay could be converted into (null: no such filter)
-- $13 pay_low double precision[]: its lower end for a month, in each of them
-- $14 pay_high double precision[]: its upper end for a month, in each of them
-- $15 unpriced boolean: whether postings without comparable pay pass it
-- $16 opening integer[]: the code points that an apostrophe goes before
select
    j.id,
    case when ascii(left(j.title, 1)) = any($16) then '''' || j.title else j.title end as title,
    case when ascii(left(j.company, 1)) = any($16) then '''' || j.company else j.company end as company,
    case when ascii(left(j.source, 1)) = any($16) then '''' || j.source else j.source end as source,
    case when ascii(left(j.external_id, 1)) = any($16) then '''' || j.external_id else j.external_id
    end as external_id,
    case when ascii(left(j.description, 1)) = any($16) then '''' || j.description else j.description
    end as description,
    case when ascii(left(j.location, 1)) = any($16) then '''' || j.location else j.location end as location,
    j.remote::text as remote,
    case when ascii(left(j.employment_type, 1)) = any($16) then '''' || j.employment_type else j.employment_type
    end as employment_type,
    j.salary_min,
    j.salary_max,
    case when ascii(left(j.currency, 1)) = any($16) then '''' || j.currency else j.currency end as currency,
    j.salary_period,
    case when ascii(left(j.url, 1)) = any($16) then '''' || j.url else j.url end as url,
    replace(to_char(j.posted_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000', '') as posted_at,
    replace(to_char(j.expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000', '') as expires_at,
    j.version,
    replace(to_char(j.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000', '') as created_at,
    replace(to_char(j.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000', '') as updated_at,
    case
        when t.failed_at is not null then 'failed'
        when t.job_id is null and e.job_id is not null then 'done'
        else 'pending'
    end as embedding_state,
    case when ascii(left(t.reason, 1)) = any($16) then '''' || t.reason else t.reason
    end as embedding_reason,
    e.generation as embedding_generation,
    coalesce(e.coverage, 0)::double precision as embedding_coverage
from job j
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
where
    j.tenant_id = $1
    and ($2::text is null or case
        -- as in the list: a phrase needs positions, which job_word has not
        when websearch_to_tsquery('english', $2)::text like '%<%>%' then
            (
                websearch_to_tsquery('english', $2)::text like '%!%'
                or exists (
                    select from job_word w
                    where
                        w.job_id = j.id
                        and w.words @@ regexp_replace(
                            websearch_to_tsquery('english', $2)::text, '<[-0-9]+>', '&', 'g'
                        )::tsquery
                )
            )
            and j.words @@ websearch_to_tsquery('english', $2)
        else exists (
            select from job_word w where w.job_id = j.id and w.words @@ websearch_to_tsquery('english', $2)
        )
    end)
    and job_passes(j, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
order by j.id
