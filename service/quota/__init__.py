"""Quotas: how often a caller may call, counted exactly over several processes where there is a store."""
