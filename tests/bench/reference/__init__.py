"""The service as most teams would write it: FastAPI, Pydantic, SQLAlchemy 2 async, pgvector-python, uvicorn."""
