"""The measurements of scale measure what they say: a small database, built and looked at in every way."""

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import asyncpg
import pytest
from pgvector.asyncpg import register_vector

from tests.conftest import Server
from tests.scale import model
from tests.scale.__main__ import build_all, build_without_room, grow, look
from tests.scale.building import INDEX
from tests.scale.chart import HEIGHT, WIDTH, chart
from tests.scale.looking import INDEX as BY_INDEX
from tests.scale.looking import RERANKED, Queries, recall
from tests.scale.model import Build, Look, Step
from tests.scale.report import markdown, write

POSTINGS, QUERIES = 600, 10
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
async def dsn(server: Server, template: str) -> AsyncIterator[str]:
    """A database that is filled once."""
    made = await server.create_database(template)
    yield made
    await server.drop_database(made)


@pytest.fixture(scope="module")
async def step(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Step:
    """Everything that is measured, at a few postings."""
    made = Step(POSTINGS)
    await grow(dsn, made, tmp_path_factory.mktemp("scale"))
    await build_without_room(dsn, made)
    await build_all(dsn, made)
    await look(dsn, made, QUERIES)
    return made


async def test_every_build_is_measured(step: Step) -> None:
    """The index is built by one process and by several, with room and without, and of bits it is smaller."""
    builds = {one.name: one for one in step.builds}
    assert list(builds) == ["halfvec, without room", "bits", "halfvec, one process", "halfvec"]
    assert all(one.seconds > 0 for one in step.builds)
    assert builds["bits"].index_bytes < builds["halfvec"].index_bytes / 2
    graph = builds["halfvec, one process"].memory_bytes
    assert graph is not None
    assert POSTINGS * 768 * 2 < graph < POSTINGS * 768 * 8
    assert step.database_bytes > step.table_bytes > POSTINGS * 768 * 2


async def test_every_look_is_measured(step: Step) -> None:
    """All rows find all, a wide look by the index nearly all, and the service as much as the index that it uses."""
    every = step.look("every row")
    wide, service, bits = step.look("index", 800), step.look("semantic search"), step.look("bits, ranked again", 800)
    assert every and wide and service and bits and step.look("hybrid search")  # noqa: PT018 - all there, for mypy
    assert every.recall == 1.0
    for one in (wide, service, bits):
        assert one.recall is not None
        assert one.recall > 0.95
    assert len(step.looks) == 1 + 2 * 5 + 2


@pytest.mark.parametrize(
    ("statement", "index"), [(BY_INDEX, INDEX), (RERANKED, "scale_binary_idx")], ids=["vectors", "bits"]
)
async def test_a_look_uses_its_index(dsn: str, step: Step, statement: str, index: str) -> None:
    """What is called by index, and by bits, reads that index."""
    assert step.builds
    connection = await asyncpg.connect(dsn)
    try:
        await register_vector(connection)
        more = (40,) if "$2" in statement else ()
        rows = await connection.fetch(f"explain {statement}", Queries(1).vectors[0], *more)
    finally:
        await connection.close()
    assert any(index in row[0] for row in rows), rows


def test_recall_counts_by_similarity() -> None:
    """What is as near as the last of the true nearest counts, what is farther does not, and nothing counts twice."""
    assert recall([0.9, 0.8], [0.9, 0.8]) == 1.0
    assert recall([0.9, 0.8], [0.9, 0.79995, 0.7]) == 1.0
    assert recall([0.9, 0.8], [0.9, 0.7]) == 0.5
    assert recall([0.9, 0.8], []) == 0.0


def test_a_chart_is_a_picture() -> None:
    """Each line has its points inside the picture, higher values stand higher, and its name stands beside it."""
    points = {"a < b": [(20_000, 1.0), (60_000, 10.0), (200_000, 100.0)], "none": []}
    for log_y in (False, True):
        picture = ET.fromstring(chart("Time", points, x="postings", y="ms", log_y=log_y))  # noqa: S314 - made here
        (line,) = picture.iter(f"{SVG}polyline")
        places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert len(places) == 3
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
        assert sorted(places) == sorted(places, key=lambda place: -place[1])
        said = [text.text for text in picture.iter(f"{SVG}text")]
        assert {"Time", "a < b", "20k", "60k", "200k"} <= set(said)
        assert "none" not in said


def test_the_report_has_every_step(tmp_path: Path) -> None:
    """What earlier runs left in the folder is in the report with what this one measured, the smallest first."""
    build = Build("halfvec", 12.5, 50 * 2**20, 2048, 1)
    for postings, ms in ((60_000, 2.5), (20_000, 1.5)):
        looks = [Look("index", 200, 0.987, ms, 4.0), Look("every row", None, 1.0, 20 * ms, 90.0)]
        model.save(tmp_path, Step(postings, 40 * 2**20, 200 * 2**20, "1GB", [build], looks))
    steps = model.every(tmp_path)
    assert [step.postings for step in steps] == [20_000, 60_000]
    report = write(steps, tmp_path).read_text()
    assert report == markdown(steps)
    assert "| 20,000 | index | 200 | 0.987 | 1.50 | 4.00 |" in report
    assert "| 60,000 | halfvec | 2048 | 1 | 12.5 | 50 |  |" in report
    assert {path.name for path in tmp_path.glob("*.svg")} == {"time.svg", "recall.svg", "sizes.svg"}
