"""Runs the fake as a process of its own: `python -m tests.fake_ollama --port N`; 0 picks a port and prints the URL."""

import argparse
import asyncio
import sys

import msgspec

from tests.fake_ollama.serve import FakeServer, listen


async def serve(host: str, port: int, knobs: dict[str, object]) -> None:
    """Serve until a signal comes."""
    server = FakeServer(port)
    with listen(port, host) as listening:
        await server.fake_app().set_knobs(knobs)
        sys.stdout.write(f"http://{host}:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve(sockets=[listening])


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--knobs", default="{}", help="JSON object of knobs to start with")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.host, arguments.port, msgspec.json.decode(arguments.knobs, type=dict[str, object])))


if __name__ == "__main__":
    main()
