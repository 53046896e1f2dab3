"""Asks a process of this machine whether it is well, for health checks where there is no curl: exit code 0 or 1."""

import http.client
import sys

TIMEOUT_S = 3.0


def is_well(target: str) -> bool:
    """Whether `port/path` on this machine answers 200 in time; proxies that the environment names are not asked."""
    port, _, path = target.partition("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_well(sys.argv[1]) else 1)
