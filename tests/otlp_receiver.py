"""A collector for tests: takes OTLP over HTTP/protobuf, keeps the spans, and can be told to refuse or to hang.

As a process of its own, `python -m tests.otlp_receiver --host H --port N`, it shows at /spans what it has got.
"""

import argparse
import gzip
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | int | float | bool


class OtlpReceiver:
    """What arrived, and two knobs: `status` to answer with, `hold` to never answer while it is clear."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        self.spans: list[Span] = []
        self.resource: dict[str, Value] = {}
        self.instances: set[Value] = set()
        self.bodies: list[bytes] = []
        self._changed = threading.Condition()

    def take(self, body: bytes) -> None:
        """Keep a decoded request, and wake who waits."""
        message = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.bodies.append(body)
            for resource_spans in message.resource_spans:
                self.resource = values(resource_spans.resource.attributes)
                self.instances.add(self.resource["service.instance.id"])
                for scope_spans in resource_spans.scope_spans:
                    self.spans.extend(scope_spans.spans)
            self._changed.notify_all()

    def wait(self, predicate: Callable[["OtlpReceiver"], bool], timeout_s: float = 5) -> None:
        """Wait until `predicate` holds; fails when it does not in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout_s):
                raise AssertionError(f"not received in {timeout_s} s; there are {[span.name for span in self.spans]}")

    def span(self, name: str) -> Span:
        """Give the one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def listed(self) -> bytes:
        """The spans as JSON: their names with the ids of trace, span and parent."""
        with self._changed:
            spans = list(self.spans)
        return json.dumps(
            [
                {
                    "name": one.name,
                    "trace": one.trace_id.hex(),
                    "id": one.span_id.hex(),
                    "parent": one.parent_span_id.hex(),
                }
                for one in spans
            ]
        ).encode()

    def tree(self) -> set[tuple[str, str]]:
        """Give the spans as pairs of names: parent (empty for a root or a parent elsewhere) and child."""
        names = {span.span_id: span.name for span in self.spans}
        return {(names.get(span.parent_span_id, ""), span.name) for span in self.spans}


def values(attributes: Iterable[KeyValue]) -> dict[str, Value]:
    """Turn OTLP attributes into a dictionary of plain values."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in attributes}


class _Handler(BaseHTTPRequestHandler):
    """Decodes what the exporter posts, on a connection that stays open, as with a real collector."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        """Take one batch."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        receiver = self.server.receiver
        receiver.hold.wait()
        if receiver.status == 200:
            receiver.take(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        try:
            self.send_response(receiver.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            self.close_connection = True  # the exporter gave up while this was held

    def do_GET(self) -> None:
        """Show the spans."""
        body = self.server.receiver.listed()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), _Handler)
        self.receiver = OtlpReceiver(f"http://127.0.0.1:{self.server_port}/v1/traces")


@contextmanager
def otlp_receiver(host: str = "127.0.0.1", port: int = 0) -> Iterator[OtlpReceiver]:
    """Run a receiver, on a free port of the loopback address unless another is given."""
    server = _Server(host, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.receiver.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Receive until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with otlp_receiver(arguments.host, arguments.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
