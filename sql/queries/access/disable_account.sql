-- Keep a person out from now on, and end every sign-in; the name, or nothing when there is nobody of it to keep out.
-- $1 tenant_id integer
-- $2 name text: case-folded
-- $3 now timestamptz
with disabled as (
    update account set disabled_at = $3
    where tenant_id = $1 and name = $2 and disabled_at is null
    returning id, name
),

ended as (
    update sign_in s set ended_at = $3
    from disabled d
    where s.account_id = d.id and s.ended_at is null
)

select name from disabled
