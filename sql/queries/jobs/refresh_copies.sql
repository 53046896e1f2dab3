-- Bring the copies of source and date in the passage tables in line with these postings.
-- $1 job_ids bigint[]
select refresh_passage_copies($1) is not null as done
