"""The answers of the fake's routes, in the words of the real server."""

import re
import struct
import time
from base64 import b64encode
from typing import Any, Protocol

import msgspec

from tests.fake_ollama.engine import Engine, EngineError
from tests.fake_ollama.http import BadRequest, Reply, answer, decode, failure, plain
from tests.fake_ollama.knobs import Counts, Knobs

_MODIFIED_AT = "2026-01-02T03:04:05.678901234Z"
_EMBED_FIELDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "truncate": (bool,),
    "dimensions": (int,),
    "options": (dict,),
    "keep_alive": (str, int, float),
}
_MODEL_NAME = re.compile(r"[\w.:/@-]+", re.ASCII)
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+")


class App(Protocol):
    """What a route sees of the application."""

    knobs: Knobs
    counts: Counts
    engine: Engine


def texts_in(body: bytes) -> tuple[str, ...]:
    """Return the texts of an embedding request, for counting; none where it cannot be read."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ()
    given = (value.get("input") or value.get("prompt")) if isinstance(value, dict) else None
    return tuple(text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str))


async def root(_app: App, _body: bytes) -> Reply:
    """GET or HEAD /."""
    return plain(200, "Ollama is running")


async def version(app: App, _body: bytes) -> Reply:
    """GET /api/version."""
    return answer({"version": app.knobs.version})


def _listed(knobs: Knobs) -> dict[str, Any]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": knobs.architecture,
        "families": [knobs.architecture],
        "parameter_size": "137M",
        "quantization_level": "F16",
    }
    model: dict[str, Any] = {"name": knobs.model, "model": knobs.model, "size": 274_302_450, "digest": knobs.digest}
    return {**model, "details": details}


async def tags(app: App, _body: bytes) -> Reply:
    """GET /api/tags."""
    models = [] if app.knobs.missing_model else [{**_listed(app.knobs), "modified_at": _MODIFIED_AT}]
    return answer({"models": models})


async def ps(app: App, _body: bytes) -> Reply:
    """GET /api/ps."""
    knobs = app.knobs
    extra = {"expires_at": _MODIFIED_AT, "size_vram": 0, "context_length": knobs.context_length}
    lingers = not knobs.loaded and knobs.lingering > 0
    knobs.lingering -= lingers
    return answer({"models": [{**_listed(knobs), **extra}] if knobs.loaded or lingers else []})


async def show(app: App, body: bytes) -> Reply:
    """POST /api/show."""
    knobs = app.knobs
    try:
        asked = decode(body, {"model": (str,)}).get("model") or ""
    except BadRequest as error:
        return failure(400, str(error))
    if not asked:
        return failure(400, "model is required")
    if not _knows(knobs, asked):
        return failure(404, f"model '{asked}' not found")
    info = {
        "general.architecture": knobs.architecture,
        f"{knobs.architecture}.context_length": knobs.context_length,
        f"{knobs.architecture}.embedding_length": knobs.dimensions,
    }
    shown = {"details": _listed(knobs)["details"], "model_info": info, "modified_at": _MODIFIED_AT}
    if knobs.capabilities is not None:
        shown["capabilities"] = knobs.capabilities
    return answer({**shown, "parameters": f"num_ctx {knobs.context_length}", "template": "{{ .Prompt }}"})


async def pull(app: App, body: bytes) -> Reply:
    """POST /api/pull: progress lines, with an error as a line inside the 200."""
    try:
        asked = decode(body, {"model": (str,), "stream": (bool,)})
    except BadRequest as error:
        return failure(400, str(error))
    knobs = app.knobs
    if asked.get("stream") is False:
        return answer({"status": "success"}) if knobs.pull_error is None else failure(500, knobs.pull_error)
    digest = f"sha256:{knobs.digest}"
    progress: list[dict[str, Any]] = [
        {"status": "pulling manifest"},
        {"status": f"pulling {knobs.digest[:12]}", "digest": digest, "total": 1000},
        {"status": f"pulling {knobs.digest[:12]}", "digest": digest, "total": 1000, "completed": 400},
    ]
    if knobs.pull_error is not None:
        progress.append({"error": knobs.pull_error})
    else:
        progress += [{"status": "verifying sha256 digest"}, {"status": "writing manifest"}, {"status": "success"}]
        knobs.missing_model = False
    lines = [msgspec.json.encode(line) + b"\n" for line in progress]
    return Reply(chunks=lines, content_type="application/x-ndjson")


async def embed(app: App, body: bytes) -> Reply:
    """POST /api/embed."""
    try:
        asked = decode(body, _EMBED_FIELDS)
        texts = _inputs(asked.get("input"))
        _check_duration(asked.get("keep_alive"))
    except BadRequest as error:
        return failure(400, str(error))
    early = _early_failure(app.knobs, asked)
    if early is not None:
        return early
    try:
        began = time.perf_counter_ns()
        await app.engine.load(asked.get("options"))
        load_ns = time.perf_counter_ns() - began
        name = asked["model"]
        if not texts:
            _unload_if_asked(app, asked)
            return answer({"model": name, "embeddings": []})
        truncate = asked.get("truncate") is not False
        vectors, tokens = await app.engine.embed(texts, truncate=truncate, dimensions=asked.get("dimensions") or 0)
    except EngineError as error:
        return failure(error.status, error.text)
    _unload_if_asked(app, asked)
    times = {"total_duration": 14_143_917, "load_duration": 1_019_500 + load_ns}
    return answer({"model": name, "embeddings": vectors, **times, "prompt_eval_count": tokens})


async def legacy_embeddings(app: App, body: bytes) -> Reply:
    """POST /api/embeddings: one `prompt`, a raw vector, every runner fault a 500."""
    try:
        asked = decode(body, {**_EMBED_FIELDS, "prompt": (str,)})
    except BadRequest as error:
        return failure(400, str(error))
    if not asked.get("model"):
        return failure(400, "model is required")
    early = _early_failure(app.knobs, asked)
    if early is not None:
        return early
    try:
        await app.engine.load(asked.get("options"))
        if not asked.get("prompt"):
            return answer({"embedding": []})
        vectors, _ = await app.engine.embed([asked["prompt"]], truncate=True, dimensions=0, legacy=True)
    except EngineError as error:
        return failure(error.status if error.status in (501, 503) else 500, error.text)
    return answer({"embedding": [value * 17.5 for value in vectors[0]]})


async def openai_embeddings(app: App, body: bytes) -> Reply:
    """POST /v1/embeddings."""
    try:
        asked = decode(body, _EMBED_FIELDS)
        texts = [""] if asked.get("input") == "" else _inputs(asked.get("input"))
    except BadRequest as error:
        return _openai_failure(400, str(error))
    if not texts:
        return _openai_failure(400, "invalid input")
    early = _early_failure(app.knobs, asked)
    if early is not None:
        return _openai_failure(early.status, msgspec.json.decode(early.chunks[0])["error"])
    try:
        await app.engine.load(None)
        vectors, tokens = await app.engine.embed(texts, truncate=True, dimensions=asked.get("dimensions") or 0)
    except EngineError as error:
        return _openai_failure(error.status, error.text)
    packed = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "embedding": _packed(vector) if packed else vector, "index": index}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return answer({"object": "list", "data": data, "model": asked["model"], "usage": usage})


def _unload_if_asked(app: App, asked: dict[str, Any]) -> None:
    if asked.get("keep_alive") == 0:
        app.engine.unload()


def _openai_failure(status: int, text: str) -> Reply:
    kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
    return answer({"error": {"message": text, "type": kind, "param": None, "code": None}}, status)


def _packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(given: object) -> list[str]:
    """Return the texts of `input`; none for missing, null, "" and []."""
    if given is None or given in ("", []):
        return []
    items = given if isinstance(given, list) else [given]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise BadRequest("invalid input type")
    return texts


def _check_duration(given: object) -> None:
    if isinstance(given, str) and not _DURATION.fullmatch(given):
        raise BadRequest(f'time: missing unit in duration "{given}"')


def _early_failure(knobs: Knobs, asked: dict[str, Any]) -> Reply | None:
    """Return what goes wrong before a model is loaded, in the order of the real handler."""
    name = asked.get("model") or ""
    if knobs.fail_next > 0:
        knobs.fail_next -= 1
        return (plain if knobs.fail_plain else failure)(knobs.fail_status, knobs.fail_text)
    if name and not _MODEL_NAME.fullmatch(name):
        return failure(400, "invalid model name")
    if not _knows(knobs, name):
        return failure(404, f"model '{name}' not found")
    if knobs.missing_manifest:
        return failure(404, f'model "{name}" not found, try pulling it first')
    for key, value in (asked.get("options") or {}).items():
        if key in ("num_ctx", "num_batch", "num_gpu") and not isinstance(value, int):
            return failure(500, f'option "{key}" must be of type integer')
    return None


def _knows(knobs: Knobs, asked: str) -> bool:
    return not knobs.missing_model and knobs.model in (asked, f"{asked}:latest")
