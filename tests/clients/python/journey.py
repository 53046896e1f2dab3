"""The main journeys through the API, with nothing but the generated client: `python journey.py ADDRESS KEY`."""

import asyncio
import sys
from datetime import UTC, datetime

from jobsense_client import AuthenticatedClient, Client
from jobsense_client.api.health import check_live
from jobsense_client.api.jobs import create_job, delete_job, fetch_job, fetch_stats, list_jobs, patch_job, store_jobs
from jobsense_client.api.pay import list_rates
from jobsense_client.api.search import (
    list_similar_jobs,
    match_jobs,
    search_batch,
    search_jobs,
    search_jobs_by_url,
)
from jobsense_client.models import JobInput, Problem

print(JobInput, Problem)
