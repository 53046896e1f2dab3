-- How far the embedding is behind.
-- $1 now timestamptz
select
    count(*) filter (where failed_at is null) as waiting,
    count(*) filter (where failed_at is not null) as failed,
    coalesce(extract(epoch from $1 - min(created_at) filter (where failed_at is null)), 0)::double precision
        as oldest_age_s
from embedding_task
