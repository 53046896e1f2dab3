-- Store postings: create the new, replace the changed, leave the equal alone; and in the same statement write the words
-- and the embedding task of every posting whose text is not the one that is embedded.
-- $1 tenant_id integer
-- $2 rows json: an array of objects, one a posting; no two of the same (source, external_id)
-- $3 replace boolean: whether an existing (source, external_id) is replaced; otherwise it is left alone
-- $4 now timestamptz
-- $5 traceparent text: of the request that writes, kept for the trace that embeds
with given as materialized (
    select nextval(pg_get_serial_sequence('job', 'id')) as new_id, r.*
    from json_to_recordset($2) as r (
        index integer, source text, external_id text, title text, company text, description text, body text,
        location text, remote boolean, employment_type text, salary_min double precision, salary_max double precision,
        currency text, salary_period text, url text, posted_at timestamptz, expires_at timestamptz, unread jsonb,
        company_key text, location_key text, content_hash text, text_hash text
    )
),

written as (
    -- sorted, so that two writers of the same postings lock them in one order
    insert into job (
        id, tenant_id, source, external_id, title, company, description, body, location, remote, employment_type,
        salary_min, salary_max, currency, salary_period, url, posted_at, expires_at, unread, company_key, location_key,
        content_hash, text_hash, created_at, updated_at
    )
    select
        new_id, $1, source, external_id, title, company, description, body, location, remote, employment_type,
        salary_min, salary_max, currency, salary_period, url, posted_at, expires_at, unread, company_key, location_key,
        decode(content_hash, 'hex'), decode(text_hash, 'hex'), $4, $4
    from given
    order by source, external_id, new_id
    on conflict (tenant_id, source, external_id) where external_id is not null do update set
        title = excluded.title, company = excluded.company, description = excluded.description, body = excluded.body,
        location = excluded.location, remote = excluded.remote, employment_type = excluded.employment_type,
        salary_min = excluded.salary_min, salary_max = excluded.salary_max, currency = excluded.currency,
        salary_period = excluded.salary_period, url = excluded.url, posted_at = excluded.posted_at,
        expires_at = excluded.expires_at, unread = excluded.unread, company_key = excluded.company_key,
        location_key = excluded.location_key, content_hash = excluded.content_hash, text_hash = excluded.text_hash,
        version = job.version + 1, updated_at = excluded.updated_at
    where $3 and job.content_hash <> excluded.content_hash
    returning id, source, external_id, words, text_hash, version
),

worded as (
    insert into job_word (job_id, words)
    select id, strip(words) from written
    on conflict on constraint job_word_pkey do update set words = excluded.words
    where job_word.words <> excluded.words
),

tasked as (
    -- due by the database's clock, as claim_tasks.sql compares: a writer's that is ahead would hide the task for so long
    insert into embedding_task (job_id, text_hash, due_at, traceparent, created_at)
    select w.id, w.text_hash, now(), $5, $4
    from written w
    where not exists (
        select from embedded e join live_generation l on l.generation = e.generation
        where e.job_id = w.id and e.text_hash = w.text_hash
    )
    on conflict on constraint embedding_task_pkey do update set
        text_hash = excluded.text_hash, attempts = 0, strikes = 0, due_at = excluded.due_at, lease = null,
        leased_until = null, failed_at = null, reason = null, traceparent = excluded.traceparent,
        created_at = excluded.created_at
    where embedding_task.text_hash <> excluded.text_hash
),

settled as (
    -- a task set aside for a text that is gone again would make the posting "failed" for ever
    delete from embedding_task t
    using written w
    where
        t.job_id = w.id and t.failed_at is not null and exists (
            select from embedded e join live_generation l on l.generation = e.generation
            where e.job_id = w.id and e.text_hash = w.text_hash
        )
)

select
    g.index,
    coalesce(created.id, updated.id, equal.id) as job_id,
    case when created.id is not null then 'created' when updated.id is not null then 'updated' else 'unchanged' end
        as status,
    coalesce(created.version, updated.version, equal.version) as version
from given g
left join written created on created.id = g.new_id
left join written updated
    on updated.source = g.source and updated.external_id = g.external_id and updated.id <> g.new_id
left join job equal on equal.tenant_id = $1 and equal.source = g.source and equal.external_id = g.external_id
order by g.index
