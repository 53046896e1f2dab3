-- Give a person another password, and end every sign-in; the name, or nothing when there is nobody of it who is let in.
-- $1 tenant_id integer
-- $2 name text: case-folded
-- $3 password_hash text
-- $4 now timestamptz
with changed as (
    update account set password_hash = $3
    where tenant_id = $1 and name = $2 and disabled_at is null
    returning id, name
),

ended as (
    update sign_in s set ended_at = $4
    from changed c
    where s.account_id = c.id and s.ended_at is null
)

select name from changed
