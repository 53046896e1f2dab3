-- Note what is embedded now and take the tasks away.
-- $1 generation smallint
-- $2 lease uuid
-- $3 job_ids bigint[]: one element a posting, and so on in parallel
-- $4 text_hashes bytea[]
-- $5 passages smallint[]
-- $6 coverages real[]
-- $7 now timestamptz
-- $8 trace_id text
with noted as (
    insert into embedded (job_id, generation, text_hash, passages, coverage, embedded_at, trace_id)
    select made.job_id, $1, made.text_hash, made.passages, made.coverage, $7, $8
    from unnest($3::bigint[], $4::bytea[], $5::smallint[], $6::real[]) as made (job_id, text_hash, passages, coverage)
    on conflict on constraint embedded_pkey do update set
        text_hash = excluded.text_hash, passages = excluded.passages, coverage = excluded.coverage,
        embedded_at = excluded.embedded_at, trace_id = excluded.trace_id
)

delete from embedding_task
where lease = $2 and job_id = any($3)
