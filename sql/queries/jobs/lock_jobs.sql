-- Lock the postings that a batch is about to replace, in the order in which it replaces them. The statement that follows
-- then sees what is embedded of them now: waiting for a worker's lock inside it would leave it with an older view, and a
-- text put back to one that was embedded before would get no task.
-- $1 tenant_id integer
-- $2 sources text[]
-- $3 external_ids text[]: parallel to $2
select j.id
from unnest($2::text[], $3::text[]) as given (source, external_id)
join job j on j.tenant_id = $1 and j.source = given.source and j.external_id = given.external_id
order by j.source, j.external_id
for no key update of j
