"""Configures structlog once for the process: one line for each event, JSON or console, libraries' lines included."""

import logging
import re
import sys
from typing import Any, BinaryIO, Literal, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from service.telemetry.record import current_record_var, current_stage_var
from service.telemetry.redact import hide_in_fields, hide_queries, tell_stack

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# The first says for every failed batch what `telemetry.export_failed` says once for each outage; the others say for
# every call what its span says, whole URL included.
_DEMOTED = ("opentelemetry.", "httpx", "httpcore")
_TAKEN_OVER = ("uvicorn", "uvicorn.error", "uvicorn.access", "litestar")


def get_logger(name: str) -> FilteringBoundLogger:
    """Give the logger of the module `name`; `event_names.EVENTS` lists the events that it may log."""
    return cast(FilteringBoundLogger, structlog.get_logger(module=name))


def configure_logs(
    *, log_format: LogFormat, level: LogLevel, stream: BinaryIO | None = None, **fields: str
) -> logging.Handler:
    """Send every log line to `stream` (standard output when None); `fields` are on each of them.

    Serving writes to standard output; commands, whose output is their answer, pass `sys.stderr.buffer`.
    Returns the handler that carries libraries' lines, to be given to `release_logs`.
    """
    out = stream if stream is not None else sys.stdout.buffer

    def add_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return _with_ids(event, fields)

    structlog.configure(
        processors=[
            structlog.processors.ExceptionRenderer(lambda info: tell_stack(info[1])),
            lambda _logger, _method, event: hide_in_fields(cast(dict[str, Any], event)),
            add_fields,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_json if log_format == "json" else _ConsoleBytes(colors=out.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=False,  # loggers of modules outlive a configuration; the hot one binds itself
    )
    handler = _ToStructlog(LEVELS[level])
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _ToStructlog)]:
        root.removeHandler(earlier)  # it would write every line once more, to the same stream
    root.addHandler(handler)
    root.setLevel(min(root.level, LEVELS[level]) if root.level else LEVELS[level])
    for name in _TAKEN_OVER:
        taken = logging.getLogger(name)
        taken.handlers.clear()
        taken.propagate = True
    return handler


def release_logs(handler: logging.Handler) -> None:
    """Stop carrying libraries' lines; structlog stays configured."""
    logging.getLogger().removeHandler(handler)


class _ToStructlog(logging.Handler):
    """Hands lines of the standard library's logging to structlog, so that all lines look alike."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_DEMOTED) and self.level > LEVELS["debug"]:
            return
        level = min(max(record.levelno // 10 * 10, LEVELS["debug"]), LEVELS["error"])
        try:
            message = hide_queries(record.getMessage())
            get_logger(record.name).log(level, "log", message=message, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 -- logging's contract: a handler never raises into the caller
            self.handleError(record)


class _ConsoleBytes:
    """Renders for people: time, level, event, fields; stacks below."""

    def __init__(self, *, colors: bool) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(colors=colors)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        return str(self._renderer(logger, method, event)).encode("utf-8", "backslashreplace")


def _with_ids(event: EventDict, fields: dict[str, str]) -> EventDict:
    record = current_record_var.get()
    event.update(fields)
    if record is not None:
        stage = current_stage_var.get()
        event["trace_id"] = f"{record.trace_id:032x}"
        event["span_id"] = f"{(stage.span_id if stage is not None else 0) or record.span_id:016x}"
        event["trace_flags"] = f"{record.flags:02x}"
        if record.request_id:
            event["request_id"] = record.request_id
    return event


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    line = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event"), **event}
    try:
        encoded = _ENCODER.encode(line)
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable file names have
        encoded = _ENCODER.encode(_encodable(line))
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _OBEYED.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), encoded)


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_encodable(str(key)): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return str(value).encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


_OBEYED = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf")
"""What JSON leaves as it is although terminals obey it or end a line there: C1 codes, separators, bidi marks."""
_ENCODER = msgspec.json.Encoder(enc_hook=str)
