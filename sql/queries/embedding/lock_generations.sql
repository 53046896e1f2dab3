-- Hold off everybody else who wants to make a generation, until the transaction ends. The number is this lock's own.
select pg_advisory_xact_lock(7261634501) is not null as done
