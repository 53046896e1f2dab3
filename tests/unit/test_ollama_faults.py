"""The table from status and text of a failing Ollama to what the client does: pure, no server."""

from typing import get_args

import pytest

from service.ollama.faults import BadText, Permanent, Reason, Transient, WireFault, classify, unavailable

RUNNER = 'do embedding request: Post \\"http://127.0.0.1:40001/embedding\\": '


def body(text: str) -> bytes:
    """Return the JSON error body with `text`, which holds its own escapes."""
    return f'{{"error":"{text}"}}'.encode()


@pytest.mark.parametrize(
    ("status", "text", "kind", "reason"),
    [
        (400, "missing request body", Permanent, "protocol"),
        (400, "invalid character 'x' looking for beginning of value", Permanent, "protocol"),
        (400, "unexpected EOF", Permanent, "protocol"),
        (400, "json: cannot unmarshal number into Go struct field EmbedRequest.model", Permanent, "protocol"),
        (400, "invalid input type", Permanent, "protocol"),
        (400, 'time: missing unit in duration \\"10\\"', Permanent, "protocol"),
        (500, 'option \\"num_ctx\\" must be of type integer', Permanent, "protocol"),
        (400, "invalid model name", Permanent, "model_missing"),
        (404, "model '' not found", Permanent, "model_missing"),
        (404, "model 'x' not found", Permanent, "model_missing"),
        (404, 'model \\"x\\" not found, try pulling it first', Permanent, "model_missing"),
        (500, "this model does not support embeddings", Permanent, "unsupported_model"),
        (501, "this model does not support embeddings", Permanent, "unsupported_model"),
        (501, "This server does not support embeddings. Start it with ...", Permanent, "unsupported_model"),
        (403, "ollama cloud is disabled", Permanent, "forbidden"),
        (401, "unauthorized", Permanent, "forbidden"),
        (503, "server busy, please try again.  maximum pending requests exceeded", Transient, "busy"),
        (500, "llama-server process has terminated: exit status 1", Transient, "load_failed"),
        (500, "cudaMalloc failed: out-of-memory", Transient, "load_failed"),
        (500, "timed out waiting for llama-server to start: context canceled", Transient, "load_failed"),
        (500, "model failed to load, this may be due to resource limitations", Transient, "load_failed"),
        (500, "model requires more system memory (2.1 GiB) than is available (1 GiB)", Transient, "load_failed"),
        (500, "llama-server process has terminated: the context length is not supported", Transient, "load_failed"),
        (400, RUNNER + "EOF", Transient, "runner_died"),
        (400, "EOF", Transient, "runner_died"),
        (500, "model runner has unexpectedly stopped, see the log", Transient, "runner_died"),
        (500, "unmarshal embedding response: json: cannot unmarshal array", Transient, "server_fault"),
        (500, "the proof thereof failed", Transient, "server_fault"),
        (500, RUNNER + "unexpected EOF", Transient, "runner_died"),
        (400, RUNNER + "read: connection reset by peer", Transient, "runner_died"),
        (400, RUNNER + "wsarecv: An existing connection was forcibly closed", Transient, "runner_died"),
        (400, "unexpected server status: llm server error", Transient, "runner_died"),
        (400, "llama runner no longer running", Transient, "runner_died"),
        (400, "tokenize error: dial tcp", Transient, "runner_died"),
        (400, "health resp: connection refused", Transient, "runner_died"),
        (499, "request canceled", Transient, "dropped"),
        (500, "something new", Transient, "server_fault"),
    ],
)
def test_error_text_decides(status: int, text: str, kind: type, reason: Reason) -> None:
    """Each known text of the server means one thing to the client, whatever the status pretends."""
    verdict = classify(status, body(text))
    assert (type(verdict), verdict.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "the input length exceeds the context length"),
        (400, "input length exceeds maximum context length"),
        (400, "input exceeds maximum context length"),
        (400, "input after truncation exceeds maximum context length"),
        (400, "input exceeds maximum context length and cannot be truncated further"),
        (500, "tokenize: no input provided"),
        (500, "input (596 tokens) is too large to process. increase the physical batch size"),
        (400, "request (9000 tokens) exceeds the available context size, try increasing it"),
    ],
)
def test_faults_of_the_text_are_certain(status: int, text: str) -> None:
    """A text that is too long or empty is at fault itself; repeating it is useless under any status."""
    verdict = classify(status, body(text))
    assert isinstance(verdict, BadText)
    assert verdict.certain


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "failed to encode response: json: unsupported value: NaN"),
        (500, "failed to encode response: json: unsupported value: +Inf"),
        (400, "embedding contains NaN or Inf values"),
        (400, RUNNER + "embedding contains NaN or Inf values"),
    ],
)
def test_no_number_is_not_repeated_but_proved(status: int, text: str) -> None:
    """NaN is mostly the text's fault, under any status; but a failing device says it of every text."""
    verdict = classify(status, body(text))
    assert isinstance(verdict, BadText)
    assert (verdict.certain, verdict.reason) == (False, "bad_vectors")


@pytest.mark.parametrize("status", [400, 413])
def test_unknown_refusals_are_in_doubt(status: int) -> None:
    """A refusal in unknown words may be the text's fault or the server's: the client has to prove it."""
    verdict = classify(status, body("the llama is out for lunch"))
    assert isinstance(verdict, BadText)
    assert not verdict.certain


@pytest.mark.parametrize(
    ("status", "raw", "kind", "reason"),
    [
        (404, b"404 page not found", Permanent, "protocol"),
        (405, b"405 method not allowed", Permanent, "protocol"),
        (403, b"", Permanent, "forbidden"),
        (307, b"", Permanent, "protocol"),
        (204, b"", Permanent, "protocol"),
        (502, b"<html>Bad Gateway</html>", Transient, "refused"),
        (503, b"", Transient, "busy"),
        (504, b"\xff\xfe", Transient, "server_fault"),
        (429, b"slow down", Transient, "busy"),
        (408, b"", Transient, "server_fault"),
    ],
)
def test_plain_and_empty_bodies_fall_back_to_the_status(status: int, raw: bytes, kind: type, reason: Reason) -> None:
    """Routers, guards and proxies answer without a JSON error; a plain 404 is a wrong address, not a missing model."""
    verdict = classify(status, raw)
    assert (type(verdict), verdict.reason) == (kind, reason)


def test_text_in_an_object_counts() -> None:
    """A fault that comes through from the process behind Ollama has its text one level deeper."""
    raw = b'{"error":{"code":500,"message":"input is too large to process","type":"server_error"}}'
    verdict = classify(500, raw)
    assert isinstance(verdict, BadText)
    assert verdict.detail == "Ollama answered 500: input is too large to process"


def test_detail_names_status_and_text() -> None:
    """What an operator reads holds the server's own words."""
    assert classify(404, body("model 'x' not found")).detail == "Ollama answered 404: model 'x' not found"


def test_callers_see_reason_and_delay() -> None:
    """The error that leaves the client carries a reason of the closed set and says when to come back."""
    verdict = classify(503, b"")
    error = unavailable(verdict)
    assert error.reason in get_args(Reason)
    assert error.retry_after_s > 0
    assert str(WireFault(verdict)) == error.detail
