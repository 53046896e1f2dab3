-- Tenants by the pattern of their name, which begins with when they were made.
-- $1 pattern text: as of like
-- $2 made_before text: names that sort before this one
select id
from tenant
where name like $1 and name collate "C" < $2 collate "C"
order by id
