"""The embedder behind Ollama: its wire contract, its faults, and how queries go before passages."""
