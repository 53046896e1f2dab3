"""The embedded default: a private Postgres with pgvector, shared by the processes that use its folder."""
