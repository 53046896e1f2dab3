"""What caches may do with an answer (RFC 9111), and conditions on it (RFC 9110, section 13): all of it is said here.

`completed` stands around everything that makes answers. What it holds:

- An answer that does not say what a cache may do with it is `no-store`: errors, secrets, whatever is new.
- An answer that may be kept and is not public depends on who asks, and says so in Vary. All Vary headers become one, so
  that whoever adds to it (CORS, compression) just appends a header of its own.
- A GET or HEAD whose answer has an ETag that If-None-Match names becomes a 304 with the headers that it needs.

Compression goes inside. A body that it encodes is another representation and needs a strong tag of its own: it replaces
the ETag by `coded_tag(tag, b"gzip")`, appends `Vary: Accept-Encoding` also to what it leaves plain, and need not encode
a body of which `is_fresh(scope, tag)` is true, since that will not be sent. If-Match takes a tag with or without it.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

from service.telemetry.http import Message, Scope, Send

PRIVATE = "private, no-cache"
"""The caller alone may keep an answer, and must ask whether it still holds."""
PRIVATE_MINUTE = "private, max-age=60"
"""The caller alone may keep an answer, and need not ask again for a minute."""
PUBLIC = "public, no-cache"
"""Any cache may keep an answer, and must ask whether it still holds."""
PUBLIC_FOR_EVER = "public, max-age=31536000, immutable"
"""Any cache may keep an answer; what is at this address never changes, since its hash is part of it."""

_CREDENTIALS = b"Authorization, X-API-Key"
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="ETags, or `*`: 304 if one still holds.")
]
"""The parameter of a GET with an ETag, which its handler need not look at."""
NOT_MODIFIED = {304: ResponseSpec(None, description="The caller's copy still holds", generate_examples=False)}
"""The same among its `responses`."""

_FOR_ALL = (b"public", b"no-store")
_NO_STORE = (b"cache-control", b"no-store")
_OK, _NOT_MODIFIED = 200, 304
_ETAG = rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")'
_TAG = re.compile(_ETAG)
_TAGS = re.compile(rb"[ \t,]*(?:" + _ETAG + rb"[ \t]*(?:,[ \t,]*|$))*")
_OF_THE_BODY = frozenset({b"content-type", b"content-length", b"content-encoding", b"content-language"})
_TAG_DIGITS = 24


def tag_of(body: bytes) -> str:
    """A strong entity tag for an answer that has no version of its own: a hash of its bytes."""
    return f'"{sha256(body).hexdigest()[:_TAG_DIGITS]}"'


def coded_tag(tag: bytes, coding: bytes) -> bytes:
    """The tag of the same answer under a content coding, as `"1-done-gzip"`; a weak one covers every coding."""
    return tag if tag.startswith(b"W/") else tag[:-1] + b"-" + coding + b'"'


def condition(scope: Scope, name: bytes) -> str | None:
    """The value of If-Match or If-None-Match (name in lower case); several lines of it are one list."""
    lines = [value for key, value in scope["headers"] if key == name]
    return b", ".join(lines).decode("latin-1") if lines else None


def tags_of(given: str, *, weak: bool) -> list[str]:
    """The entity tags that a condition lists, without their quotes; with or without the weak ones."""
    return [tag[1:-1].decode("latin-1") for mark, tag in _listed(given.encode("latin-1")) if weak or not mark]


def matches_weakly(given: str, tag: str) -> bool:
    """Whether an If-None-Match names the tag, by weak comparison; `*` names any."""
    held = tag.removeprefix("W/").encode("latin-1")
    return given.strip() == "*" or any(one == held for _, one in _listed(given.encode("latin-1")))


def is_fresh(scope: Scope, tag: bytes) -> bool:
    """Whether the caller of a GET or HEAD holds the answer with this tag already."""
    held = _held(scope)
    return held is not None and matches_weakly(held, tag.decode("latin-1"))


def completed(scope: Scope, send: Send) -> Send:
    """Send an answer with everything that caches need to know, or as a 304."""
    held = _held(scope)
    unchanged = False

    async def complete(message: Message) -> None:
        nonlocal unchanged
        if message["type"] == "http.response.start":
            message = _with_headers(message, held)
            unchanged = message["status"] == _NOT_MODIFIED
        elif unchanged and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return complete


def _held(scope: Scope) -> str | None:
    """What the caller of a GET or HEAD says that it has."""
    return condition(scope, b"if-none-match") if scope["method"] in ("GET", "HEAD") else None


def _with_headers(message: Message, held: str | None) -> Message:
    kept: list[tuple[bytes, bytes]] = []
    varies: list[bytes] = []
    tag = control = None
    for pair in message.get("headers", ()):
        name = pair[0].lower()
        if name == b"vary":
            varies.append(pair[1])
            continue
        if name == b"etag":
            tag = pair[1]
        elif name == b"cache-control":
            control = pair[1]
        kept.append(pair)
    if control is None:
        kept.append(_NO_STORE)
    elif not control.startswith(_FOR_ALL):
        varies.append(_CREDENTIALS)
    if varies:
        kept.append((b"vary", varies[0] if len(varies) == 1 else _merged(varies)))
    if (
        held is not None
        and tag is not None
        and message["status"] == _OK
        and matches_weakly(held, tag.decode("latin-1"))
    ):
        # What describes the body goes with it; the cache that holds the body knows.
        kept = [pair for pair in kept if pair[0].lower() not in _OF_THE_BODY]
        return {**message, "status": _NOT_MODIFIED, "headers": kept}
    return {**message, "headers": kept}


def _listed(given: bytes) -> list[tuple[bytes, bytes]]:
    """The entity tags of a list, each as (`W/` or nothing, the tag in its quotes); none if it is not a list of tags."""
    return _TAG.findall(given) if _TAGS.fullmatch(given) else []


def _merged(varies: Iterable[bytes]) -> bytes:
    """One Vary out of several, each name once."""
    names: dict[bytes, bytes] = {}
    for line in varies:
        for name in line.split(b","):
            names.setdefault(name.strip().lower(), name.strip())
    names.pop(b"", None)
    return b"*" if b"*" in names else b", ".join(names.values())
