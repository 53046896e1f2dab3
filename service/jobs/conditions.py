"""Conditional requests on postings (RFC 9110, section 13): entity tags are `"<version>-<state of embedding>"`."""

from service.errors import PreconditionFailed


def require_match(version: int, if_match: str | None) -> None:
    """If-Match: `*`, or a list of entity tags of which one has the stored version; raises PreconditionFailed.

    The state of embedding is ignored, since embedding changes nothing that a caller could overwrite. Weak tags never
    match (RFC 9110, 13.1.1).
    """
    if if_match is None or if_match.strip() == "*":
        return
    strong = (tag.strip() for tag in if_match.split(",") if not tag.strip().startswith("W/"))
    if str(version) not in {tag.strip('"').split("-")[0] for tag in strong}:
        raise PreconditionFailed(f"The posting is at version {version}")


def is_fresh(etag: str, if_none_match: str | None) -> bool:
    """If-None-Match: whether the caller's copy is still good, by weak comparison (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags
