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
