-- Be the one process that does bulk work at a model server, or stay it for longer; false while another is. A lease that
-- lapsed counts as none.
-- $1 server text
-- $2 lease uuid: made by the process, the same for as long as it works
-- $3 seconds double precision: how long the lease holds if nobody renews it
with taken as (
    insert into model_lane (server, bulk_lease, bulk_until)
    values ($1, $2, now() + make_interval(secs => $3))
    on conflict on constraint model_lane_pkey do update set
        bulk_lease = excluded.bulk_lease, bulk_until = excluded.bulk_until
    where model_lane.bulk_lease is null or model_lane.bulk_lease = $2 or model_lane.bulk_until < now()
    returning server
)

select exists(select from taken) as taken
