-- The secret of a name, this one if there is none yet. The update that changes nothing makes the existing row come back,
-- so that processes that start at once agree.
-- $1 name text
-- $2 secret bytea
insert into kept_secret (name, secret) values ($1, $2)
on conflict on constraint kept_secret_pkey do update set name = excluded.name
returning secret
