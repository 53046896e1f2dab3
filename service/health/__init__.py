"""Health: is the process alive, ready, and how are its parts."""
