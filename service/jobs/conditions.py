"""Conditions on writing a posting (RFC 9110, section 13): its entity tag is `"<version>-<state of embedding>"`."""

from typing import Any

import msgspec

from service.errors import PreconditionFailed
from service.http.caching import condition, tags_of
from service.jobs.model import Job


class Conditions(msgspec.Struct, frozen=True):
    """What a request says of the posting that it was made for, as its headers have it; None: nothing."""

    if_match: str | None = None
    if_none_match: str | None = None

    def require(self, job: Job) -> None:
        """Raise PreconditionFailed unless the conditions hold of the posting as it is stored.

        If-Match compares the version alone, strongly, since embedding changes nothing that a caller could overwrite.
        A tag may have the coding behind it under which the posting was sent (`"3-done-gzip"`).
        """
        if self.if_match is not None and self.if_match.strip() != "*":
            versions = {tag.split("-")[0] for tag in tags_of(self.if_match, weak=False)}
            if str(job.version) not in versions:
                raise PreconditionFailed(f"The posting is at version {job.version}")
        if self.if_none_match is not None:
            ruled_out = ["-".join(tag.split("-")[:2]) for tag in tags_of(self.if_none_match, weak=True)]
            if self.if_none_match.strip() == "*" or job.etag.strip('"') in ruled_out:
                raise PreconditionFailed(f"The posting is at version {job.version}, which If-None-Match rules out")


ALWAYS = Conditions()


def conditions_of(scope: Any, if_match: str | None, if_none_match: str | None = None) -> Conditions:
    """The conditions of a request; a list may come in several lines, of which a handler is given one."""
    if if_match is None and if_none_match is None:
        return ALWAYS
    with_none_match = if_none_match is not None
    return Conditions(condition(scope, b"if-match"), condition(scope, b"if-none-match") if with_none_match else None)
