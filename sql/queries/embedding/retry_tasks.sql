-- Give tasks back, to be tried again at a time.
-- $1 lease uuid
-- $2 job_ids bigint[]
-- $3 due_at timestamptz
-- $4 reason text: why it did not work this time (null: given back untried, which is no attempt)
update embedding_task set
    lease = null, leased_until = null, due_at = $3, reason = $4,
    attempts = attempts - case when $4::text is null then 1 else 0 end
where lease = $1 and job_id = any ($2)
