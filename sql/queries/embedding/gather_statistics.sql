-- Let the planner know what is there now, rather than when autovacuum comes by.
analyze
