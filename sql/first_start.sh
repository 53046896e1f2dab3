# Run once by the database's container, when its folder is empty: the service's own role, which owns its database and is
# no superuser, and the extension, which only a superuser may add.
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -v password="$(cat /run/secrets/jobsense/database_password)" <<'SQL'
create role jobsense login password :'password';
alter database jobsense owner to jobsense;
grant all on schema public to jobsense;
create extension if not exists vector;
SQL
