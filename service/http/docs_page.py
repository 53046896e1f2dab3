"""Serve `/openapi.json` and the page at `/docs` that shows it, from files of this package alone."""

import functools
import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from service.errors import NotFound
from service.http.caching import PUBLIC, PUBLIC_FOR_EVER, coded_tag
from service.http.encodings import takes_gzip
from service.http.openapi import document

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page at `/docs` may load; it holds no inline script."""

_FOLDER = Path(__file__).parent / "docs_assets"
_ASSETS = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "start.js", "favicon-32x32.png"})
_GZIP_FROM_BYTES = 1024


class _File(msgspec.Struct, frozen=True):
    """One answer, ready to send in both encodings."""

    body: bytes
    packed: bytes | None
    etag: str
    media_type: str
    cache_control: str = PUBLIC


def docs_handlers() -> list[HTTPRouteHandler]:
    """The route handlers of `/openapi.json`, `/docs` and its assets; left out where the documentation is hidden."""

    @functools.lru_cache(maxsize=8)
    def written(app: Litestar, root_path: str) -> _File:
        # Behind a proxy that serves this application under a path of its own, that is where operations are.
        served = {"servers": [{"url": quote(root_path)}]} if root_path else {}
        return _file(msgspec.json.encode(document(app) | served), "application/json")

    @get("/openapi.json", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def show_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Give the OpenAPI 3.1 document."""
        return _answer(request, written(request.app, request.scope.get("root_path", "")))

    @get("/docs", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def show_docs(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Give the page."""
        return _answer(request, _page(request.scope.get("root_path", "")))

    @get("/docs/{name:str}", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def show_docs_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        """Give a script, style sheet or picture of the page."""
        file = _by_name().get(name)
        if file is None:
            raise NotFound("Nothing is at this path")
        return _answer(request, file)

    return [show_openapi, show_docs, show_docs_asset]


@functools.lru_cache(maxsize=8)
def _page(root_path: str) -> _File:
    """The page as it is reached behind a proxy that serves this application under a path of its own."""
    page = (_FOLDER / "index.html").read_text(encoding="utf-8")
    for name in _ASSETS:
        page = page.replace(f"/docs/{name}", f"/docs/{_hashed(name)}")
    return _file(page.replace("{root}", quote(root_path)).encode(), "text/html")


@functools.cache
def _asset(name: str) -> _File:
    return _file((_FOLDER / name).read_bytes(), mimetypes.types_map[Path(name).suffix])


def _hashed(name: str) -> str:
    """The name of an asset with its hash in it: what is there never changes, so that it is fetched once."""
    stem, suffix = name.rsplit(".", 1)
    return f"{stem}.{_asset(name).etag}.{suffix}"


@functools.cache
def _by_name() -> dict[str, _File]:
    """The assets by their plain and by their hashed names."""
    hashed = {_hashed(name): msgspec.structs.replace(_asset(name), cache_control=PUBLIC_FOR_EVER) for name in _ASSETS}
    return {name: _asset(name) for name in _ASSETS} | hashed


def _file(body: bytes, media_type: str) -> _File:
    # Packed once and kept: the script is 1.7 MB plain, 0.5 MB packed.
    packed = gzip.compress(body, 6, mtime=0) if len(body) >= _GZIP_FROM_BYTES else None
    if packed is not None and len(packed) >= len(body):
        packed = None
    return _File(body, packed, hashlib.sha256(body).hexdigest()[:16], media_type)


def _answer(request: Request[Any, Any, Any], file: _File) -> Response[bytes]:
    gzipped = file.packed if takes_gzip(request.headers.get("accept-encoding")) else None
    etag = f'"{file.etag}"'
    headers = {
        "ETag": etag,
        "Cache-Control": file.cache_control,
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if gzipped is not None:
        headers |= {"Content-Encoding": "gzip", "ETag": coded_tag(etag.encode(), b"gzip").decode()}
    return Response(gzipped or file.body, headers=headers, media_type=file.media_type)
