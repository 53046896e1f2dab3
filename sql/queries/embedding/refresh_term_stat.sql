-- Count anew in how many postings each word occurs. One statement, so that a search sees the old or the new.
-- $1 now timestamptz
with counted as (
    select word, ndoc from ts_stat('select words from job_word')
),

gone as (
    delete from term_stat s where not exists (select from counted c where c.word = s.lexeme)
),

stored as (
    insert into term_stat (lexeme, ndoc)
    select word, ndoc from counted
    on conflict on constraint term_stat_pkey do update set ndoc = excluded.ndoc
    where term_stat.ndoc <> excluded.ndoc
)

update term_stat_state set version = version + 1, refreshed_at = $1, jobs = (select count(*) from job_word)
