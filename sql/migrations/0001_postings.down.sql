-- Takes everything away again, postings included.
drop view passage;
do $$
declare
    one smallint;
begin
    for one in select id from generation loop
        execute format('drop table passage_g%s', one);
    end loop;
end
$$;
drop function job_passes(job, text[], text[], text, boolean, text[], timestamptz, timestamptz, boolean, timestamptz);
drop function refresh_passage_copies(bigint[]);
drop function copy_passages(smallint, bigint, bigint, bytea);
drop function store_passages(smallint, bigint[], bigint[], smallint[], integer[], integer[], halfvec[]);
drop function create_generation(
    text, text, text, integer, integer, text, text, integer, integer, real, real, timestamptz
);
drop function rebuild_passage_view();
drop table
    embedding_task, embedded, live_generation, generation, term_stat_state, term_stat, job_word, job, api_key, tenant;
drop extension vector;
