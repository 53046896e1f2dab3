-- How many processes that embed are connected to this database; each names itself with its host and its number.
select count(distinct application_name) as workers
from pg_stat_activity
where datname = current_database() and application_name like 'jobsense-worker:%'
