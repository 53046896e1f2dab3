-- Keep the tasks of a claim for longer.
-- $1 lease uuid
-- $2 leased_until timestamptz
update embedding_task set leased_until = $2
where lease = $1
