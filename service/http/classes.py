"""The classes of requests, and how many of each are served at once."""

from service.http.admission import Admission
from service.http.decoding import MAX_BATCH_BYTES, MAX_BODY_BYTES
from service.http.limit import Size, WorkClass
from service.telemetry.http import AsgiApp

CLASSES = {
    ("POST", "/api/v1/jobs/batch"): "heavy",
    # As much work as fifty searches: in the line of these it would count as one of them, and slow all the others.
    ("POST", "/api/v1/search/batch"): "heavy",
    # A résumé of fifty kilobytes is forty texts to embed: seconds, of which only two may be under way at once.
    ("POST", "/api/v1/match"): "heavy",
    ("POST", "/api/v1/auth/token"): "sign_in",
}
"""The class of each request, as method and path, that is not light."""


def admission(serve: AsgiApp, most: int) -> Admission:
    """Admission for `most` requests at once, and two batches and two sign-ins beside them; others wait or go."""
    light = Size(start=min(8, most), least=min(3, most), most=most, line=64, patience_s=2.0)
    # Two batches keep one process busy, and whoever sends one is in no hurry.
    heavy = Size(start=2, least=2, most=2, line=16, patience_s=10.0)
    # A password takes 20 ms of one core and more, on purpose: a burst of them waits here, and in no search's way.
    sign_in = Size(start=2, least=2, most=2, line=32, patience_s=2.0)
    return Admission(
        serve,
        classes={
            "light": WorkClass(size=light, max_body_bytes=MAX_BODY_BYTES, max_held_bytes=64 * MAX_BODY_BYTES),
            "heavy": WorkClass(size=heavy, max_body_bytes=MAX_BATCH_BYTES, max_held_bytes=12 * MAX_BATCH_BYTES),
            "sign_in": WorkClass(size=sign_in, max_body_bytes=MAX_BODY_BYTES, max_held_bytes=2 * MAX_BODY_BYTES),
        },
        routes=CLASSES,
    )
