-- Let other processes know that queries are about at a model server. A note less than a second old is left as it is, so
-- that many processes write no more often than one.
-- $1 server text
insert into model_lane (server, queried_at) values ($1, now())
on conflict on constraint model_lane_pkey do update set queried_at = now()
where model_lane.queried_at < now() - interval '1 second'
