-- Whether the database answers, and with which versions.
select current_setting('server_version') as postgres, extversion as pgvector
from pg_extension
where extname = 'vector'
