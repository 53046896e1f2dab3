-- When the next task falls due or its lease lapses; null when none waits.
select min(greatest(due_at, coalesce(leased_until, due_at))) as due_at
from embedding_task
where failed_at is null
