"""Postings: store, read, change, list and count them."""
