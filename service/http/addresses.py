"""Which address a caller without credentials counts under."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from service.telemetry.http import Scope

_PREFIX_BITS = 64
"""Of an IPv6 address: what one customer gets, who may send from every address in it."""


def address_of(scope: Scope) -> str:
    """The caller's address, an IPv6 one by its network; behind trusted proxies the server has put the true one here."""
    client = scope.get("client")
    return _network(client[0]) if client else "unknown"


@lru_cache(maxsize=4096)
def _network(host: str) -> str:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"  # what a trusted proxy passes on, and a socket that is a file
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> _PREFIX_BITS << _PREFIX_BITS)}/{_PREFIX_BITS}"
