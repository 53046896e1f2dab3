"""The embedder that needs no server: all-MiniLM-L6-v2 in NumPy."""
