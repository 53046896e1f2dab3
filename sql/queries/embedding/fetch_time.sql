-- What time it is by the database's clock, by which tasks are due and set aside.
select now() as time
