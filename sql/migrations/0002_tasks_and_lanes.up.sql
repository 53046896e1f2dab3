-- Tasks whose own text is to blame, and whose turn it is at a model server that several processes share.

-- How often the text failed alone while a harmless one went through; a few times, and the task is set aside.
alter table embedding_task add column strikes smallint not null default 0;

create index embedding_task_failed_idx on embedding_task (failed_at, job_id) where failed_at is not null;

-- One row for each model server that processes of this database share. `server` is a digest, since an address may hold
-- credentials. Queries announce themselves now and then, so that bulk work elsewhere gives way; one process at a time does
-- bulk work, under a lease. Times are the database's own, because the clocks of several machines differ.
create table model_lane (
    server text not null,
    queried_at timestamptz not null default '-infinity',
    bulk_lease uuid,
    bulk_until timestamptz,
    constraint model_lane_pkey primary key (server)
);

-- Copies the passages of a twin, if both still have the text of this hash; answers how many. Nothing of the posting's own
-- goes before the copies are there: that the twin still fits is known by the rows that its one statement finds.
create or replace function copy_passages(
    p_generation smallint, p_twin bigint, p_job_id bigint, p_text_hash bytea
) returns integer language plpgsql as $$
declare
    copied integer;
begin
    execute format(
        'insert into passage_g%1$s'
        ' (job_id, passage_no, tenant_id, source, posted_at, body_start, body_end, embedding)'
        ' select j.id, p.passage_no, j.tenant_id, j.source, j.posted_at, p.body_start, p.body_end, p.embedding'
        ' from passage_g%1$s p'
        ' join embedded e on e.job_id = p.job_id and e.generation = $1 and e.text_hash = $4'
        ' join job j on j.id = $3 and j.text_hash = $4'
        ' where p.job_id = $2'
        ' on conflict on constraint passage_g%1$s_pkey do update set'
        ' tenant_id = excluded.tenant_id, source = excluded.source, posted_at = excluded.posted_at,'
        ' body_start = excluded.body_start, body_end = excluded.body_end, embedding = excluded.embedding', p_generation
    ) using p_generation, p_twin, p_job_id, p_text_hash;
    get diagnostics copied = row_count;
    if copied > 0 then
        execute format('delete from passage_g%s where job_id = $1 and passage_no >= $2', p_generation)
            using p_job_id, copied;
    end if;
    return copied;
end
$$;
