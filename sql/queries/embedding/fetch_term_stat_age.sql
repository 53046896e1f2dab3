-- How far the word statistics are behind: postings counted then, and how many there are now.
select s.version, s.jobs, s.refreshed_at, c.jobs_now
from term_stat_state s
cross join lateral (select count(*)::integer as jobs_now from job_word) c
