-- Let another process do bulk work at a model server; a lease that another has taken meanwhile is left alone.
-- $1 server text
-- $2 lease uuid
update model_lane set bulk_lease = null, bulk_until = null
where server = $1 and bulk_lease = $2
