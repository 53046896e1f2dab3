"""`/docs` needs no outside host, and its assets are packed, validated and licensed."""

import gzip
import re
from pathlib import Path

import httpx

import service.http.docs_page
from tests.toy_pets import toy_pets


async def test_the_page_loads_only_what_is_served_here(pets: httpx.AsyncClient) -> None:
    """Every address on the page is one of ours and is answered, and no script is inline."""
    page = await pets.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href|data-url)="([^"]*)"', page.text)
    assert len(addresses) >= 5
    for address in addresses:
        assert address.startswith("/")
        assert not address.startswith("//")
        assert (await pets.get(address)).status_code == 200
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""]
    assert (await pets.get("/docs/")).text == page.text


async def test_assets_are_packed_and_validated(pets: httpx.AsyncClient) -> None:
    """A script is sent packed to who takes that, plain to who does not, each with an ETag of its own."""
    plain = await pets.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "identity"})
    async with pets.stream("GET", "/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "br, gzip;q=1"}) as packed:
        raw = b"".join([chunk async for chunk in packed.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == "Accept-Encoding"
    refused = await pets.get("/docs/start.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    for name in ("README.md", "nope.js", "index.html", "..%2f__init__.py"):
        assert (await pets.get(f"/docs/{name}")).status_code == 404


async def test_the_page_knows_the_path_it_is_served_under() -> None:
    """Behind a proxy that adds a path, the addresses on the page have it too, and those that it calls."""
    async with toy_pets(root_path="/jobs api") as pets:
        page = await pets.get("/docs")
        assert (await pets.get("/openapi.json")).json()["servers"] == [{"url": "/jobs%20api"}]
    assert 'data-url="/jobs%20api/openapi.json"' in page.text


def test_the_assets_carry_their_licence() -> None:
    """The licence, the notice and the version of Swagger UI are beside its files, and the bundle is that version."""
    folder = Path(service.http.docs_page.__file__).parent / "docs_assets"
    version = re.search(r"Swagger UI (\d+\.\d+\.\d+)", (folder / "README.md").read_text())
    assert version is not None
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert (folder / "NOTICE").exists()
    assert version[1] in (folder / "swagger-ui-bundle.js").read_text()
