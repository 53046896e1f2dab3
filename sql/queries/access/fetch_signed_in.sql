-- Who is behind an access token, as long as neither the sign-in has ended nor the person is disabled.
-- $1 sign_in_id text
-- $2 account_id integer
select a.id, a.tenant_id, t.name as tenant, a.name, a.role, s.scopes
from sign_in s
join account a on a.id = s.account_id
join tenant t on t.id = a.tenant_id
where s.id = $1 and a.id = $2 and s.ended_at is null and a.disabled_at is null
