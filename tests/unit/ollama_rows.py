"""Every failing outcome of POST /api/embed, one row each: what the server answers, and what it means to the client.

The names follow the wire contract of Ollama, with the server era (A: up to 0.13.2, B: 0.13.3 to 0.24, C: from 0.30)
where eras differ. A row without `client` is one that our requests cannot cause.
"""

from typing import Any, NamedTuple

from service.ollama.faults import BadText, Permanent, Reason, Transient
from tests.fake_ollama.clients import MODEL

POISON = "poison " + "word " * 12
SHORT = {"context_length": 10}
"""A window that POISON does not fit."""
RUNNER = 'do embedding request: Post "http://127.0.0.1:40001/embedding": '


class Row(NamedTuple):
    """One outcome: the knobs of the fake, a raw request (None: POISON beside a harmless text), answer and verdict."""

    name: str
    knobs: dict[str, object]
    status: int
    text: str
    kind: type[BadText] | type[Permanent] | type[Transient]
    reason: Reason
    request: dict[str, Any] | bytes | None = None
    client: bool = True
    poison: str = POISON
    certain: bool = True


def _raw(name: str, request: dict[str, Any] | bytes, status: int, text: str, reason: Reason, **knobs: object) -> Row:
    """A row that only somebody else's request causes."""
    return Row(name, knobs, status, text, Permanent, reason, request, client=False)


def _asking(**fields: object) -> dict[str, Any]:
    return {"model": MODEL, "input": "x", **fields}


MALFORMED = [
    _raw("empty-body", b"", 400, "missing request body", "protocol"),
    _raw("malformed-json", b"{x", 400, "invalid character 'x' looking for beginning of value", "protocol"),
    _raw("json-cut-short", b'{"model": "x"', 400, "unexpected EOF", "protocol"),
    _raw(
        "wrong-field-type",
        _asking(truncate="no"),
        400,
        "json: cannot unmarshal value into Go struct field EmbedRequest.truncate",
        "protocol",
    ),
    _raw("input-number", _asking(input=7), 400, "invalid input type", "protocol"),
    _raw("input-object", _asking(input={"a": 1}), 400, "invalid input type", "protocol"),
    _raw(
        "input-mixed-before-model-lookup",
        _asking(model="nobody", input=["x", 7]),
        400,
        "invalid input type",
        "protocol",
    ),
    _raw("model-empty", {"input": "x"}, 404, "model '' not found", "model_missing"),
    _raw("model-name-invalid", _asking(model="no body"), 400, "invalid model name", "model_missing"),
    _raw("keep-alive-without-unit", _asking(keep_alive="10"), 400, 'time: missing unit in duration "10"', "protocol"),
    _raw(
        "option-wrong-type",
        _asking(options={"num_ctx": "1"}),
        500,
        'option "num_ctx" must be of type integer',
        "protocol",
    ),
]

MODEL_ROWS = [
    Row("model-unknown", {"missing_model": True}, 404, f"model '{MODEL}' not found", Permanent, "model_missing"),
    Row(
        "model-manifest-missing",
        {"missing_manifest": True},
        404,
        f'model "{MODEL}" not found, try pulling it first',
        Permanent,
        "model_missing",
    ),
    *(
        Row(
            f"model-cannot-embed-{era}",
            {"cannot_embed": True, "era": era},
            status,
            text,
            Permanent,
            "unsupported_model",
        )
        for era, status, text in (
            ("A", 500, "this model does not support embeddings"),
            ("B", 501, "this model does not support embeddings"),
            ("C", 501, "This server does not support embeddings. Start it with `--embeddings`"),
        )
    ),
    Row(
        "cloud-model-while-cloud-is-off",
        {"fail_next": 99, "fail_status": 403, "fail_text": "ollama cloud is disabled"},
        403,
        "ollama cloud is disabled",
        Permanent,
        "forbidden",
    ),
]

_TOO_LONG = (
    ("A-0.11", "input length exceeds maximum context length"),
    ("A-0.12", "input exceeds maximum context length"),
    ("B", "the input length exceeds the context length"),
    ("C", "the input length exceeds the context length"),
)
_UNCUTTABLE = (
    "input after truncation exceeds maximum context length",
    "input exceeds maximum context length and cannot be truncated further",
)
TEXT_ROWS = [
    *(
        Row(f"too-long-{era}", {"era": era[0], "too_long_text": text, **SHORT}, 400, text, BadText, "protocol")
        for era, text in _TOO_LONG
    ),
    *(
        Row(
            f"too-long-cannot-be-cut-{number}",
            {"uncuttable": True, "too_long_text": text, **SHORT},
            400,
            text,
            BadText,
            "protocol",
            _asking(input=POISON, truncate=True),
        )
        for number, text in enumerate(_UNCUTTABLE, start=1)
    ),
    *(
        Row(
            f"empty-text-in-array-{era}",
            {"no_special_tokens": True, "era": era},
            status,
            text,
            BadText,
            "protocol",
            poison="",
        )
        for era, status, text in (
            ("A", 500, "tokenize: no input provided"),
            ("B", 500, "tokenize: no input provided"),
            ("C", 400, "input exceeds maximum context length and cannot be truncated further"),
        )
    ),
    *(
        Row(
            f"nan-{era}-{form}",
            {"nan_for": "poison", "nan_as": form, "era": era},
            int(form),
            text,
            BadText,
            "bad_vectors",
            certain=False,
        )
        for era, form, text in (
            ("A", "500", "failed to encode response: json: unsupported value: NaN"),
            ("B", "500", "failed to encode response: json: unsupported value: NaN"),
            ("B", "400", "embedding contains NaN or Inf values"),
        )
    ),
    Row(
        "unknown-words-400",
        {"odd_400_for": "poison"},
        400,
        "the llama is out for lunch",
        BadText,
        "protocol",
        certain=False,
    ),
    Row(
        "too-large-for-the-physical-batch-C",
        {"era": "C", "too_long_text": "input is too large to process. increase the physical batch size", **SHORT},
        400,
        "input is too large to process. increase the physical batch size",
        BadText,
        "protocol",
    ),
]

_RUNNER_TEXTS = {
    "eof": RUNNER + "EOF",
    "reset": RUNNER + "read tcp 127.0.0.1:50000->127.0.0.1:40001: read: connection reset by peer",
    "refused": RUNNER + "dial tcp 127.0.0.1:40001: connect: connection refused",
    "windows": RUNNER + "wsarecv: An existing connection was forcibly closed by the remote host.",
    "status": "unexpected server status: llm server error",
    "gone": "llama runner process no longer running: -1",
    "tokenize": "tokenize error: dial tcp 127.0.0.1:40001: i/o timeout",
    "health": 'health resp: Get "http://127.0.0.1:40001/health": dial tcp: no route',
}
_LOAD_TEXTS = {
    "terminated": "llama-server process has terminated: exit status 1",
    "memory": "cudaMalloc failed: out-of-memory",
    "slow": "timed out waiting for llama-server to start: progress 0.00",
}
SERVER_ROWS = [
    Row(
        "queue-full",
        {"queue_full": True},
        503,
        "server busy, please try again.  maximum pending requests exceeded",
        Transient,
        "busy",
    ),
    *(
        Row(f"load-failed-{name}", {"loaded": False, "load_error": text}, 500, text, Transient, "load_failed")
        for name, text in _LOAD_TEXTS.items()
    ),
    *(
        Row(
            f"runner-died-{name}-{era}",
            {"runner_deaths": 99, "runner_text": text, "era": era},
            500 if era == "A" else 400,
            text,
            Transient,
            "runner_died",
        )
        for name, text in _RUNNER_TEXTS.items()
        for era in ("A", "B", "C")
    ),
    Row(
        "other-fault-own-status",
        {"fail_next": 99, "fail_status": 500, "fail_text": "something new"},
        500,
        "something new",
        Transient,
        "server_fault",
    ),
    Row(
        "client-gone-while-loading",  # seen by a proxy at most, which may pass it on
        {"fail_next": 99, "fail_status": 499, "fail_text": "request canceled"},
        499,
        "request canceled",
        Transient,
        "dropped",
    ),
]

ROWS = [*MALFORMED, *MODEL_ROWS, *TEXT_ROWS, *SERVER_ROWS]
