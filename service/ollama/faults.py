"""What an Ollama failure means: the pure table from status and error text to what the client does next.

Ollama has no error codes, and its statuses mislead (a dying runner answers 400, a text without a number 500), so the
text decides. First match wins; the order is part of the rule.
"""

import re
from http import HTTPStatus
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from service.errors import EmbedderUnavailable

Reason = Literal[
    "not_started",  # start() has not succeeded yet
    "closed",  # close() was called
    "refused",  # nobody listens at the address, or a proxy cannot reach it
    "dropped",  # the connection broke during a request
    "timeout",  # no answer in time
    "busy",  # the queue of the server is full
    "load_failed",  # the model could not be loaded: memory, damaged file, start-up limit
    "runner_died",  # the process that computes went away during the request
    "server_fault",  # any other fault that may pass
    "model_missing",  # the server does not have the model
    "unsupported_model",  # the model cannot embed
    "forbidden",  # credentials, Host or Origin are refused
    "bad_vectors",  # zeros, or a norm other than 1
    "unstable_vectors",  # one text has another vector in a batch or among other requests
    "wrong_dimensions",  # another length than at start: the model changed
    "protocol",  # the answer is not one that Ollama gives
]
"""Why no vector can be had; closed, because metrics and callers use it."""

SUSPICIOUS: frozenset[Reason] = frozenset({"bad_vectors", "dropped", "runner_died", "server_fault"})
"""Faults that a text can cause, although the server does not say so."""


class Transient(msgspec.Struct, frozen=True):
    """The same request can succeed soon: try again with backoff."""

    reason: Reason
    detail: str


class TimedOut(msgspec.Struct, frozen=True):
    """No answer within `elapsed_s`; the server is likely still at work, so an instant repeat makes it worse."""

    elapsed_s: float
    detail: str
    reason: Reason = "timeout"


class Permanent(msgspec.Struct, frozen=True):
    """No request will succeed before somebody changes the server or a setting."""

    reason: Reason
    detail: str


class BadText(msgspec.Struct, frozen=True):
    """One text of the request is at fault. Not `certain`: prove it by embedding another text."""

    detail: str
    certain: bool = True
    reason: Reason = "protocol"


Verdict: TypeAlias = Transient | TimedOut | Permanent | BadText


class WireFault(Exception):
    """A request that brought no vectors, with its verdict; never leaves the client."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.detail)
        self.verdict = verdict


class _NestedError(msgspec.Struct):
    message: str


class _ErrorBody(msgspec.Struct):
    """Ollama writes a text; the process behind it, and some proxies, an object with one."""

    error: str | _NestedError


_NOT_A_NUMBER = re.compile(r"\bNaN\b|\bInf\b")


class _TextRule(NamedTuple):
    pattern: re.Pattern[str]
    kind: type[BadText] | type[Transient] | type[Permanent]
    reason: Reason


def _text(kind: type[BadText] | type[Transient] | type[Permanent], reason: Reason, *patterns: str) -> _TextRule:
    return _TextRule(re.compile("|".join(patterns), re.IGNORECASE), kind, reason)


_TEXTS = (
    # First what quotes the log of another process, in which any of the words below may occur.
    _text(Transient, "load_failed", "process has terminated", "out.of.memory", "timed out waiting for"),
    _text(Transient, "load_failed", "failed to load", "unable to load model", "requires more system memory"),
    _text(BadText, "protocol", "exceeds? (the |maximum )?context length", "exceeds the available context size"),
    _text(BadText, "protocol", "is too large to process", "cannot be truncated further", "no input provided"),
    _text(Permanent, "unsupported_model", "does not support embeddings"),
    _text(Permanent, "model_missing", "invalid model name", "model is required"),
    _text(Transient, "runner_died", "do embedding request", "no longer running", "unexpectedly stopped"),
    _text(Permanent, "protocol", "^missing request body", "^invalid character", "^unexpected EOF$"),
    _text(Permanent, "protocol", "^json: cannot unmarshal", "^invalid input", "^option .* must be", "^time: "),
    _text(Transient, "runner_died", r"\bEOF\b", "connection re", "server status", "tokenize error", "health resp"),
    _text(Transient, "runner_died", "forcibly closed"),
)
"""Texts that mean the same under 400 and 5xx; the first that is found decides."""

_STATUSES: dict[int, Transient | Permanent | BadText] = {
    400: BadText("the server found a fault in the request", certain=False),
    401: Permanent("forbidden", "credentials are missing or wrong"),
    403: Permanent("forbidden", "the server refuses this Host, Origin or model"),
    408: Transient("server_fault", "the server gave up reading the request"),
    413: BadText("the request is over a size limit on the way", certain=False),
    429: Transient("busy", "too many requests"),
    499: Transient("dropped", "the request was given up on the way"),
    501: Permanent("unsupported_model", "this model cannot embed"),
    502: Transient("refused", "a proxy cannot reach the server"),
    503: Transient("busy", "the queue of the server is full"),
    504: Transient("server_fault", "a proxy waited too long for the server"),
}


def classify(status: int, body: bytes) -> Transient | Permanent | BadText:
    """Return what an answer other than 200 to an embedding request means; pure.

    `body` is the raw body: `{"error": "<text>"}`, or plain text or nothing where a router or a proxy answered.
    """
    text = _error_text(body)
    where = f"Ollama answered {status}"
    detail = f"{where}: {text}" if text else where
    if status == HTTPStatus.NOT_FOUND:
        return Permanent("protocol" if text is None else "model_missing", detail)
    if text is not None and (status == HTTPStatus.BAD_REQUEST or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
        if _NOT_A_NUMBER.search(text):
            # Most often the text's fault; but a failing GPU says the same of every text.
            return BadText(detail, certain=False, reason="bad_vectors")
        for rule in _TEXTS:
            if rule.pattern.search(text):
                return _verdict(rule, detail)
    known = _STATUSES.get(status)
    if known is not None:
        return msgspec.structs.replace(known, detail=f"{detail} ({known.detail})")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient("server_fault", detail)
    return Permanent("protocol", detail)


def _verdict(rule: _TextRule, detail: str) -> Transient | Permanent | BadText:
    if issubclass(rule.kind, BadText):
        return BadText(detail)
    return rule.kind(rule.reason, detail)


def _error_text(body: bytes) -> str | None:
    try:
        error = msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return error if isinstance(error, str) else error.message


_RETRY_AFTER_S: dict[Reason, int] = {
    "bad_vectors": 30,
    "forbidden": 300,
    "model_missing": 60,
    "unstable_vectors": 300,
    "unsupported_model": 300,
}


def unavailable(verdict: Verdict) -> EmbedderUnavailable:
    """Return the error that callers of the embedder see."""
    return EmbedderUnavailable(
        verdict.detail, reason=verdict.reason, retry_after_s=_RETRY_AFTER_S.get(verdict.reason, 5)
    )
