"""The security headers of every answer (OWASP HTTP Headers Cheat Sheet)."""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]

_ALWAYS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# The documentation page runs its own script and sets styles inline; it loads nothing from elsewhere.
_DOCS_POLICY = (
    b"content-security-policy",
    (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
)
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

_PLAIN: Headers = (*_ALWAYS, _POLICY)
_PLAIN_HTTPS: Headers = (*_PLAIN, _HTTPS_ONLY)
_DOCS: Headers = (*_ALWAYS, _DOCS_POLICY)
_DOCS_HTTPS: Headers = (*_DOCS, _HTTPS_ONLY)


def security_headers(path: str, *, https: bool) -> Headers:
    """List the headers for an answer at `path`; HSTS only over HTTPS, where alone it means something."""
    if path == "/docs" or path.startswith("/docs/"):
        return _DOCS_HTTPS if https else _DOCS
    return _PLAIN_HTTPS if https else _PLAIN
