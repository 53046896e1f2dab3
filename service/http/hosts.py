"""Which Host headers name this service."""

import re
from collections.abc import Sequence
from typing import TypeAlias

Hosts: TypeAlias = re.Pattern[bytes]


def match_hosts(allowed: Sequence[str]) -> Hosts | None:
    """What the Host header may be: a listed host with any port, or with its own; `*.` stands for subdomains."""
    patterns = []
    for host in allowed:
        name = re.escape(host.removeprefix("*."))
        subdomains = r"([a-z0-9_-]+\.)+" if host.startswith("*.") else ""
        port = "" if re.search(r":[0-9]+$", host) else r"(:[0-9]{1,5})?"
        patterns.append(f"{subdomains}{name}{port}")
    return re.compile("|".join(patterns).encode(), re.IGNORECASE) if patterns else None
