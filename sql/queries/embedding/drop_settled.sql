-- Take away tasks of postings whose current text is embedded already. A row that a writer holds is skipped, as in
-- discard_tasks.sql.
-- $1 generation smallint
-- $2 lease uuid
-- $3 job_ids bigint[]
with mine as (
    select t.job_id from embedding_task t
    join job j on j.id = t.job_id
    join embedded e on e.job_id = t.job_id and e.generation = $1 and e.text_hash = j.text_hash
    where t.lease = $2 and t.job_id = any($3)
    for update of t skip locked
)

delete from embedding_task t
using mine
where t.job_id = mine.job_id
returning t.job_id
