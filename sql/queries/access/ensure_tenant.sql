-- The number of a tenant, made if it is new. The update that changes nothing makes the existing row come back.
-- $1 name text
insert into tenant (name) values ($1)
on conflict on constraint tenant_name_key do update set name = excluded.name
returning id
