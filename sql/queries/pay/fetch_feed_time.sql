-- When rates of a source were last stored; nothing while there are none. Read from end to end, since it is asked a few
-- times an hour at most and an index would be kept for every rate.
-- $1 source text
select max(fetched_at) as fetched_at from exchange_rate where source = $1
