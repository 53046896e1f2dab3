-- Take a refresh token for a new one, or end its whole family when it is not the newest: somebody has used it before, and
-- who of the two is the thief cannot be told. One update, so that of two who refresh at once the second waits for the
-- row and then finds the token used. Nothing when the family has ended or the person is disabled.
-- $1 sign_in_id text
-- $2 token_hash bytea: of what was given
-- $3 new_hash bytea
-- $4 now timestamptz
-- $5 expires_at timestamptz: of the new one
update sign_in s set
    token_hash = case when s.token_hash = $2 then $3 else s.token_hash end,
    expires_at = case when s.token_hash = $2 then $5 else s.expires_at end,
    ended_at = case when s.token_hash = $2 then s.ended_at else $4 end
from account a
where s.id = $1 and s.ended_at is null and s.expires_at > $4 and a.id = s.account_id and a.disabled_at is null
returning s.account_id, s.scopes, s.ended_at is not null as is_reused
