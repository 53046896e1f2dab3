"""The tree of errors; a class answers the question "what can the one who sees it do?".

    JobSenseError
    |- RequestError           the caller can change the request
    |  |- UnreadableBody         400  send a body that can be decoded
    |  |- Unauthenticated        401  send credentials that are valid
    |  |- Forbidden              403  ask for a scope
    |  |- NotFound               404  the thing is not there for this caller
    |  |- Conflict               409  the thing is there already
    |  |  `- InProgress             409  wait for the request that runs under this key
    |  |- Stale                  410  start again from the first page
    |  |- PreconditionFailed     412  read again, then change
    |  |- BodyTooLarge           413  send less
    |  |- UnsupportedMediaType   415  send JSON
    |  |- KeyReused              422  take a new idempotency key
    |  `- Invalid                422  mend the named fields, all of them listed
    |- TryLater               the caller can repeat the request unchanged, after `retry_after_s`
    |  |- DatabaseUnavailable    503
    |  |- EmbedderUnavailable    503  (searches degrade instead of failing, unless asked to fail)
    |  `- Overloaded             503  turned away before anything was done, so that the others are served in time
    |- TextRefused            the model will never take this text; the posting is set aside with the reason
    `- OperatorError          whoever started the process can change a setting or run a command; exit code 1 or 2
       |- SettingError           2  a setting is wrong
       |- SchemaError            1  the schema and this build do not fit
       `- EmbeddedError          1  the embedded database cannot run

`problem.py` maps the first two families to HTTP; nothing else knows a status code.
"""

from collections.abc import Sequence

import msgspec


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One failing field of a request: where it is, a stable code, and a sentence for people.

    Exactly one of `pointer` (RFC 6901, into the body) and `parameter` (query, header or path) is set.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None


class JobSenseError(Exception):
    """Root of every error that JobSense raises on purpose."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestError(JobSenseError):
    """The caller can change the request. `code` is stable and part of the contract."""

    code = "bad_request"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        if code is not None:
            self.code = code


class UnreadableBody(RequestError):
    """The body is not JSON, or not UTF-8."""

    code = "unreadable_body"


class Unauthenticated(RequestError):
    """Credentials are missing or, where some were `given`, unknown, expired or revoked."""

    code = "unauthenticated"

    def __init__(self, detail: str, *, code: str | None = None, given: bool = False) -> None:
        super().__init__(detail, code=code)
        self.given = given


class Forbidden(RequestError):
    """The credentials are good, and lack a `scope`."""

    code = "forbidden"

    def __init__(self, detail: str, *, scope: str | None = None) -> None:
        super().__init__(detail)
        self.scope = scope


class NotFound(RequestError):
    """The thing does not exist for this caller."""

    code = "not_found"


class Conflict(RequestError):
    """The thing exists already, or another request holds it."""

    code = "conflict"


class InProgress(Conflict):
    """Another request with the same idempotency key is being served; it can be repeated soon."""

    code = "idempotency_in_progress"
    retry_after_s = 1


class Stale(RequestError):
    """A cursor no longer fits what it was made for."""

    code = "cursor_stale"


class PreconditionFailed(RequestError):
    """If-Match names another version than the stored one."""

    code = "precondition_failed"


class BodyTooLarge(RequestError):
    """The body is over the limit of this route."""

    code = "body_too_large"


class UnsupportedMediaType(RequestError):
    """The content type is not one that this route reads."""

    code = "unsupported_media_type"


class KeyReused(RequestError):
    """The idempotency key belongs to a request that asked for something else."""

    code = "idempotency_key_reused"


class Invalid(RequestError):
    """The request was read, and `errors` lists every field that is wrong."""

    code = "invalid"

    def __init__(self, errors: Sequence[FieldError], detail: str | None = None) -> None:
        super().__init__(
            detail
            or f"{len(errors)} field{'s' if len(errors) != 1 else ''} of the request "
            f"{'are' if len(errors) != 1 else 'is'} not valid"
        )
        self.errors = tuple(errors)


class TryLater(JobSenseError):
    """The same request can succeed later; `reason` is one of a small closed set, for metrics and callers."""

    code = "unavailable"

    def __init__(self, detail: str, *, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s


class DatabaseUnavailable(TryLater):
    """The database did not answer in time, or not at all."""

    code = "database_unavailable"


class EmbedderUnavailable(TryLater):
    """The embedder cannot turn text into vectors now; `reason` says why."""

    code = "embedder_unavailable"


class Overloaded(TryLater):
    """The service has as much to do as it can; nothing of the request was done."""

    code = "overloaded"


class TextRefused(JobSenseError):
    """The model will never embed this text (too long, or it yields no number); repeating is useless."""


class OperatorError(JobSenseError):
    """Whoever started the process can mend it; the message names the thing and the way out."""

    exit_code = 1


class SettingError(OperatorError):
    """A setting is wrong; the message names it, the value given (secrets hidden) and what is allowed."""

    exit_code = 2


class SchemaError(OperatorError):
    """The schema and this build do not fit: an outdated schema, or a migration changed after it was applied."""


class EmbeddedError(OperatorError):
    """The embedded database cannot be started or joined."""
