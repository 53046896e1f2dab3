"""Which Postgres the tests take: named, wished for, in a container or embedded, and the top of a run says so."""

import socket
import time
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import pytest_report_header
from tests.database_server import CHOICE, GIVEN, IMAGE, WISH, choose, contained, has_image

URL = "postgresql://postgres:secret@db.example:5432/postgres"


@pytest.mark.parametrize(
    ("environ", "here", "kind", "name"),
    [
        ({GIVEN: URL, WISH: "16"}, True, "given", URL),
        ({WISH: "16"}, True, "embedded", "16"),
        ({WISH: "18"}, True, "embedded", "18"),
        ({WISH: "pgvector/pgvector:pg16"}, False, "container", "pgvector/pgvector:pg16"),
        ({}, True, "container", IMAGE),
        ({}, False, "embedded", "18"),
        ({WISH: " "}, False, "embedded", "18"),
    ],
)
def test_what_is_named_comes_first(environ: dict[str, str], here: bool, kind: str, name: str) -> None:
    """A URL wins over a wish, a wish over an image that is here, that over the embedded server."""
    made = choose(environ, lambda _image: here)
    assert made[:2] == (kind, name)


def test_a_wish_asks_no_engine() -> None:
    """Whoever says what to take waits for no engine, and takes what they said."""

    def never(_image: str) -> bool:
        raise AssertionError("an engine was asked")

    assert choose({WISH: "18"}, never).kind == "embedded"
    assert choose({GIVEN: URL}, never).kind == "given"


def test_the_run_says_which_without_the_password() -> None:
    """The line at the top names host, image or version, and why."""
    assert str(choose({GIVEN: URL}, has_image)) == f"PostgreSQL: db.example (named by {GIVEN})"
    assert str(choose({WISH: "16"}, has_image)) == f"PostgreSQL: 16, embedded (wished for by {WISH})"
    assert str(choose({WISH: "a/b:pg18"}, has_image)) == f"PostgreSQL: a/b:pg18 in a container (wished for by {WISH})"


def test_the_run_that_this_is_says_which(pytestconfig: pytest.Config) -> None:
    """The first line of ours in the header is that of the server that the tests get."""
    said = pytest_report_header(pytestconfig)[0]
    assert said == str(pytestconfig.stash[CHOICE])
    assert said.startswith("PostgreSQL: ")


@pytest.mark.parametrize("wish", ["17", "pg17", "latest"])
def test_a_version_that_is_not_here_is_refused(wish: str) -> None:
    """A wish that nothing fulfils ends the run with what is allowed, instead of testing something else."""
    with pytest.raises(pytest.UsageError, match=r"embedded are 16, 18; else an image, such as pgvector/pgvector:pg17"):
        choose({WISH: wish}, lambda _image: True)


def test_an_engine_that_hangs_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that takes connections and answers nothing costs a few seconds once, and no failure."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
        began = time.monotonic()
        assert not has_image(IMAGE)
        assert time.monotonic() - began < 10


def test_an_engine_that_is_gone_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST may be set on a machine whose engine does not run."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing")
    assert not has_image(IMAGE)


@pytest.mark.parametrize("host", ["", "ssh://far.example", "tcp://127.0.0.1:9"])
def test_where_no_engine_is_near_there_is_none(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, an engine on another machine, a closed port: the embedded server is taken."""
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr("tests.database_server._SOCKET", tmp_path / "nothing")
    assert not has_image(IMAGE)


@pytest.mark.skipif(not has_image(IMAGE), reason=f"Not here: a container engine with {IMAGE}")
async def test_a_container_serves_and_goes() -> None:
    """The server in a container has pgvector to offer, takes connections, and is gone afterwards."""
    with contained(IMAGE) as dsn:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("select current_setting('is_superuser')") == "on"
        await connection.execute("create extension vector")
        await connection.close()
    with pytest.raises(OSError, match="onnect"):
        await asyncpg.connect(dsn)
