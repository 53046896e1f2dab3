"""Embedding: what turns postings into vectors, generation by generation."""
