-- The person of a name, to check a password against; a disabled one too.
-- $1 name text: case-folded
select
    a.id, a.tenant_id, t.name as tenant, a.name, a.role, a.password_hash, a.disabled_at is not null as is_disabled
from account a
join tenant t on t.id = a.tenant_id
where a.name = $1
