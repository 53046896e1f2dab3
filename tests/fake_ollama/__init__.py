"""A fake Ollama that speaks HTTP on a real socket and misbehaves on demand."""
