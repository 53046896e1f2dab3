-- Titles and quoted text of postings with the query's words between U+E000 and U+E001; <, > and & come as U+E002 to U+E004,
-- because the parser of ts_headline takes what looks like a tag for one and drops it.
-- $1 tenant_id integer
-- $2 text text: the query
-- $3 job_ids bigint[]
-- $4 quotes text[]: the passage of each; null: the places of its text that fit best
with word as materialized (
    select string_agg(quote_literal(q.lexeme), ' | ')::tsquery as any_word
    from unnest(to_tsvector('english', $2)) q
),

wanted as (
    select
        w.job_id,
        translate(j.title, u&'<>&\E000\E001', u&'\E002\E003\E004') as title,
        translate(coalesce(w.quote, left(j.body, 20000)), u&'<>&\E000\E001', u&'\E002\E003\E004') as body,
        w.quote is not null as is_quote
    from unnest($3::bigint[], $4::text[]) w (job_id, quote)
    join job j on j.id = w.job_id
    where j.tenant_id = $1
)

select
    w.job_id,
    coalesce(
        ts_headline('english', w.title, o.any_word, u&'StartSel=\E000, StopSel=\E001, HighlightAll=true'), w.title
    ) as title,
    case
        when o.any_word is null then case when w.is_quote then w.body end
        when w.is_quote
            then ts_headline('english', w.body, o.any_word, u&'StartSel=\E000, StopSel=\E001, HighlightAll=true')
        else ts_headline(
            'english', w.body, o.any_word,
            u&'StartSel=\E000, StopSel=\E001, MaxFragments=2, MinWords=8, MaxWords=30, FragmentDelimiter=" … "'
        )
    end as passage
from wanted w
cross join word o
