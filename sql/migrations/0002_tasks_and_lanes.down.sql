create or replace function copy_passages(
    p_generation smallint, p_twin bigint, p_job_id bigint, p_text_hash bytea
) returns integer language plpgsql as $$
declare
    copied integer;
begin
    execute format('delete from passage_g%s where job_id = $1', p_generation) using p_job_id;
    execute format(
        'insert into passage_g%s (job_id, passage_no, tenant_id, source, posted_at, body_start, body_end, embedding)'
        ' select j.id, p.passage_no, j.tenant_id, j.source, j.posted_at, p.body_start, p.body_end, p.embedding'
        ' from passage_g%s p'
        ' join embedded e on e.job_id = p.job_id and e.generation = $1 and e.text_hash = $4'
        ' join job j on j.id = $3 and j.text_hash = $4'
        ' where p.job_id = $2', p_generation, p_generation
    ) using p_generation, p_twin, p_job_id, p_text_hash;
    get diagnostics copied = row_count;
    return copied;
end
$$;
drop table model_lane;
drop index embedding_task_failed_idx;
alter table embedding_task drop column strikes;
