"""Has the fake pull its model and shows the progress, as `ollama pull` does with a real one: `pull URL MODEL`."""

import json
import sys
import urllib.request


def main() -> None:
    """Ask, and print a line for each step; exit code 1 where the pull fails."""
    url, model = sys.argv[1:]
    asked = urllib.request.Request(f"{url}/api/pull", json.dumps({"model": model}).encode(), method="POST")  # noqa: S310 - an address of the stack
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - the same
        for line in answer:
            said = json.loads(line)
            if "error" in said:
                sys.exit(said["error"])
            share = f" {100 * said['completed'] // said['total']} %" if "completed" in said else ""
            sys.stdout.write(f"{said['status']}{share}\n")


if __name__ == "__main__":
    main()
