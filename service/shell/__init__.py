"""The commands of `jobsense`, one module a subject; `service.__main__` gathers them."""
