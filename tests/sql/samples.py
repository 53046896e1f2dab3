"""Data for the tests of statements: postings as parameters, and thousands of rows made by the server itself."""

import msgspec

from service.db import Json
from service.jobs.model import NewJob


def rows_of(*jobs: NewJob) -> Json:
    """Postings as the parameter of `upsert_jobs`."""
    return Json(msgspec.json.encode(jobs).decode())


NARROW, WIDE = 1, 2
"""The generations of `FILL`, of 8 and of 384 dimensions: postings to `HALF` are in the first, the rest in the other."""
LARGE, SMALL = 1, 2
"""Its tenants: every eighth posting is of the small one."""
HALF = 2_000
FILL = f"""
insert into tenant (name) values ('other');
insert into job (
    tenant_id, source, external_id, title, company, company_key, body, location, location_key, employment_type,
    posted_at, content_hash, text_hash, created_at, updated_at
)
select
    case when n % 8 = 0 then 2 else 1 end, 's' || n % 20, 'x' || n, 'title ' || n, 'Company', 'company ' || n % 500,
    'common w' || n % 700, 'Here',
    'here', 'full-time', '2026-01-01'::timestamptz + n * interval '1 minute', '', int4send(n), now(), now()
from generate_series(1, {2 * HALF}) n;
insert into job_word select id, strip(words) from job;
insert into embedding_task (job_id, text_hash, due_at, failed_at, created_at)
select id, text_hash, '2026-01-01'::timestamptz + id * interval '1 second', case when id % 3 > 0 then now() end, now()
from job;
select create_generation('p', 'm' || d, 'd', d, 9, '', '', 9, 1, 0, 0, now()) from unnest(array[8, 384]) d;
insert into embedded select id, case when id <= {HALF} then 1 else 2 end, text_hash, 1, 1, now(), null from job;
drop index passage_g1_embedding_idx;
drop index passage_g2_embedding_idx;
select setseed(0.5);
insert into passage_g1
select id, 0, tenant_id, source, posted_at, 0, 5, l2_normalize((
    select array_agg(random() - 0.5) from generate_series(1, 8) where id > 0
)::halfvec) from job where id <= {HALF};
insert into passage_g2
select id, 0, tenant_id, source, posted_at, 0, 5, l2_normalize((
    select array_agg(random() - 0.5) from generate_series(1, 384) where id > 0
)::halfvec) from job where id > {HALF};
create index passage_g1_embedding_idx on passage_g1
using hnsw (embedding halfvec_ip_ops) with (m = 16, ef_construction = 200);
create index passage_g2_embedding_idx on passage_g2
using hnsw (embedding halfvec_ip_ops) with (m = 16, ef_construction = 200);
analyze;
"""  # noqa: S608 - a number of ours
