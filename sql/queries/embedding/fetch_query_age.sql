-- How long ago queries were last announced at a model server; null when they never were.
-- $1 server text
select extract(epoch from now() - queried_at)::double precision as age_s
from model_lane
where server = $1 and isfinite(queried_at)
