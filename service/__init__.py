"""JobSense: semantic job search as an HTTP service on Postgres and pgvector."""
