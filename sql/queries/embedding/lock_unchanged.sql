-- Of these postings, those that still have the text that was embedded and whose task is still in this lease. Locked, so
-- that the text cannot change before the vectors are stored; in the order in which upsert_jobs.sql locks them, since two
-- orders would end in a deadlock.
-- $1 lease uuid
-- $2 job_ids bigint[]
-- $3 text_hashes bytea[]: parallel to $2
select j.id
from unnest($2::bigint[], $3::bytea[]) as made (job_id, text_hash)
join job j on j.id = made.job_id and j.text_hash = made.text_hash
join embedding_task t on t.job_id = j.id and t.lease = $1
order by j.source, j.external_id, j.id
for no key update of j
