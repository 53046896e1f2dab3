"""Give every row an identity that stays the same when its file is read again."""

import hashlib

from service.ingest.model import EXTERNAL_ID_CHARS

_NO_PAGE = frozenset({"", "n-a", "na", "null", "none", "undefined"})
_DIGEST_CHARS = 32


def make_external_id(*, url: str, source: str, title: str, company: str, location: str) -> str:
    """Take the address, if it is short enough and names one page; else a digest of all five values.

    A host alone, and a page called "n-a" (which MyJobMag gives to several jobs), name no one job.
    """
    address = url.partition("#")[0]
    _, _, page = address.partition("://")[2].partition("/")
    if len(address) <= EXTERNAL_ID_CHARS[1] and page.rstrip("/").rpartition("/")[2].lower() not in _NO_PAGE:
        return address
    parts = "\x1f".join(" ".join(part.split()).casefold() for part in (source, title, company, location, url))
    return "row-" + hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARS]
