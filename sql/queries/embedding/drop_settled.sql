-- Take away tasks of postings whose current text is embedded already.
-- $1 generation smallint
-- $2 lease uuid
-- $3 job_ids bigint[]
delete from embedding_task t
using job j, embedded e
where
    t.lease = $2 and t.job_id = any ($3)
    and j.id = t.job_id
    and e.job_id = t.job_id and e.generation = $1 and e.text_hash = j.text_hash
