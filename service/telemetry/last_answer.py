"""The answer to a request whose application raised and gave none."""

import msgspec

from service.telemetry.record import Record


def internal_error(record: Record) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a problem that says no more than that it is ours."""
    body = msgspec.json.encode(
        {
            "type": "urn:jobsense:problem:internal_error",
            "title": "Something is wrong on our side",
            "status": 500,
            "detail": "The request could not be served.",
            "code": "internal_error",
            "request_id": record.request_id,
            "trace_id": f"{record.trace_id:032x}",
        }
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    return [*headers, (b"cache-control", b"no-store")], body
