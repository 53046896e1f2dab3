-- Replace one posting that this transaction has locked; writes its words and, when its text changed, its task.
-- $1 tenant_id integer
-- $2 job_id bigint
-- $3 row json: an object with every column of a posting
-- $4 now timestamptz
-- $5 traceparent text
with given as (
    select *
    from json_to_record($3) as (
        source text, external_id text, title text, company text, description text, body text,
        location text, remote boolean, employment_type text, salary_min double precision, salary_max double precision,
        currency text, salary_period text, url text, posted_at timestamptz, expires_at timestamptz,
        company_key text, location_key text, content_hash text, text_hash text
    )
),

written as (
    update job set
        source = g.source, external_id = g.external_id, title = g.title, company = g.company,
        description = g.description, body = g.body, location = g.location, remote = g.remote,
        employment_type = g.employment_type, salary_min = g.salary_min, salary_max = g.salary_max,
        currency = g.currency, salary_period = g.salary_period, url = g.url, posted_at = g.posted_at,
        expires_at = g.expires_at, company_key = g.company_key, location_key = g.location_key,
        content_hash = decode(g.content_hash, 'hex'), text_hash = decode(g.text_hash, 'hex'),
        version = job.version + 1, updated_at = $4
    from given g
    where job.tenant_id = $1 and job.id = $2
    returning job.id, job.words, job.text_hash
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

select id from written
