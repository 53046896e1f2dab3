-- The traces that wrote and embedded a posting, as far as they are known.
-- $1 job_id bigint
select
    j.id as job_id, e.trace_id as embedded_by, e.embedded_at,
    -- while it waits; afterwards the trace that embedded links to the one that wrote
    substring(t.traceparent, 4, 32) as written_by
from job j
left join embedding_task t on t.job_id = j.id
left join embedded e on e.job_id = j.id and e.generation = (select generation from live_generation)
where j.id = $1
