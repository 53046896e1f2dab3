-- Everybody of every tenant, for whoever operates the database.
select a.name, t.name as tenant, a.role, a.created_at, a.signed_in_at, a.disabled_at
from account a
join tenant t on t.id = a.tenant_id
order by a.name
