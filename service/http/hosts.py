"""Which Host headers name this service."""

import re
from collections.abc import Sequence
from typing import TypeAlias

from service.errors import RequestError
from service.telemetry.http import Scope

Hosts: TypeAlias = re.Pattern[bytes]

ASKED_BY_ADDRESS = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that probes and scrapers ask by the address of the machine, whatever hosts are listed."""
_ANY = re.compile(rb"[A-Za-z0-9._~%!$&'()*+;=\[\]:-]*")
_OLD = frozenset({"1.0", "0.9"})


def match_hosts(allowed: Sequence[str]) -> Hosts | None:
    """What the Host header may be: a listed host with any port, or with its own; `*.` stands for subdomains."""
    patterns = []
    for host in allowed:
        name = re.escape(host.removeprefix("*."))
        subdomains = r"([a-z0-9_-]+\.)+" if host.startswith("*.") else ""
        port = "" if re.search(r":[0-9]+$", host) else r"(:[0-9]{1,5})?"
        patterns.append(f"{subdomains}{name}{port}")
    return re.compile("|".join(patterns).encode(), re.IGNORECASE) if patterns else None


def host_fault(scope: Scope, hosts: Hosts | None) -> RequestError | None:
    """What is wrong with the Host header: there is not one (RFC 9112, 3.2), it is no host, or it is none of ours.

    No other header is looked at: what X-Forwarded-Host or Forwarded say is used for nothing.
    """
    given = [value for name, value in scope["headers"] if name == b"host"]
    if len(given) > 1 or (not given and scope.get("http_version") not in _OLD):
        return RequestError("A request has one Host header")
    named = given[0] if given else b""
    if hosts is not None and scope["path"] not in ASKED_BY_ADDRESS:
        return None if hosts.fullmatch(named) else RequestError("The Host header names no host of this service")
    return None if _ANY.fullmatch(named) else RequestError("The Host header names no host")
