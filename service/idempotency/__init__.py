"""Idempotency: a request that is repeated under its key is done once, and answered alike."""
