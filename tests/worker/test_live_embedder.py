"""Which model embeds: the first generation, its model afterwards, absence and return, and models that differ."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from service.config import Settings
from service.db import Database
from service.embedder import Embedder
from service.embedding import domain, generations, queries
from service.embedding.breaker import PAUSE_S
from service.embedding.domain import LiveEmbedder
from service.embedding.generations import ensure_generation
from service.embedding.lane import Lanes
from service.embedding.model import Generation
from service.embedding.worker import Worker
from service.errors import DatabaseUnavailable, EmbedderUnavailable
from service.loop import Loop
from service.parts import candidates
from tests.fakes import WordEmbedder
from tests.worker.scene import Scene, reason


def only(*embedders: Embedder) -> Callable[[Generation | None], Sequence[Embedder]]:
    """Candidates that do not depend on the live generation."""
    return lambda _generation: list(embedders)


class Hanging(WordEmbedder):
    """Never finishes its start."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def start(self) -> None:
        """Hang."""
        self.reached.set()
        await asyncio.Event().wait()


async def test_the_first_that_starts_makes_the_generation(db: Database) -> None:
    """Without a generation the candidates are tried in order; the one that starts decides, the others are released."""
    first, second = WordEmbedder(model="first"), WordEmbedder(model="second", dimensions=8)
    first.down = "refused"
    live = LiveEmbedder(db, only(first, second))
    assert await live.connect() > 0
    assert reason(live) is None
    assert live.generation is not None
    assert (live.generation.model, live.generation.dimensions) == ("second", 8)
    assert (first.closed, second.closed) == (True, False)
    await live.close()
    assert second.closed


@pytest.mark.parametrize(
    ("setting", "before", "expected"),
    [
        ("auto", None, ["ollama/asked", "local/all-MiniLM-L6-v2"]),
        ("auto", ("ollama", "stored"), ["ollama/stored"]),
        ("auto", ("local", "all-MiniLM-L6-v2"), ["local/all-MiniLM-L6-v2"]),
        ("ollama", None, ["ollama/asked"]),
        ("ollama", ("local", "all-MiniLM-L6-v2"), ["ollama/asked"]),
        ("local", None, ["local/all-MiniLM-L6-v2"]),
        ("local", ("ollama", "stored"), ["local/all-MiniLM-L6-v2"]),
    ],
)
async def test_the_choice(db: Database, setting: str, before: tuple[str, str] | None, expected: list[str]) -> None:
    """`auto` chooses only while there is no generation, then takes its model; the other settings stay."""
    generation = None
    if before is not None:
        made = WordEmbedder(model=before[1])
        made.identity = type(made.identity)(
            provider=before[0],  # type: ignore[arg-type] # one of the two
            model=before[1],
            digest="d",
            dimensions=8,
            max_tokens=64,
        )
        generation = await ensure_generation(db, made.identity)
    settings = Settings(embedder=setting, embedding_model="asked")  # type: ignore[arg-type] # one of the three
    embedders = candidates(settings, Lanes(db, settings.ollama_url))(generation)
    names = [
        f"ollama/{embedder._model}" if hasattr(embedder, "_model") else f"local/{embedder.identity.model}"
        for embedder in embedders
    ]
    for embedder in embedders:
        await embedder.close()
    assert names == expected


async def test_a_race_for_the_first_generation(db: Database) -> None:
    """Of two processes that start at once one makes the generation, and the other follows its model."""
    one, other = WordEmbedder(model="one"), WordEmbedder(model="other")
    by_model = {"one": one, "other": other}

    def choose(mine: WordEmbedder) -> Callable[[Generation | None], Sequence[Embedder]]:
        return lambda generation: [mine if generation is None else by_model[generation.model]]

    async with db.transaction() as connection:  # so that both have found none before either makes one
        await queries.lock_generations(connection)
        lives = [LiveEmbedder(db, choose(mine)) for mine in (one, other)]
        starts = [asyncio.create_task(live.connect()) for live in lives]
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while (await connection.fetchval(waiting)) < 2:
            pass
    await asyncio.gather(*starts)
    assert [live.absence for live in lives] == [None, None]
    models = {live.generation.model for live in lives if live.generation}
    assert len(models) == 1
    (ready_one, _), (ready_other, _) = [await live.ready() for live in lives]
    assert ready_one is ready_other is by_model[models.pop()]
    async with db.connection() as connection:
        assert await connection.fetchval("select count(*) from generation") == 1


async def test_another_model_is_reported_and_never_used(scene: Scene, db: Database, live: LiveEmbedder) -> None:
    """An embedder of another model embeds nothing, query or posting; the reason says so, and it is released."""
    await scene.post()
    for embedder in (WordEmbedder(model="other"), WordEmbedder(digest="words-2"), WordEmbedder(dimensions=8)):
        wrong = LiveEmbedder(db, only(embedder))
        await wrong.connect()
        assert wrong.absence is not None
        assert reason(wrong) == "model_differs"
        assert "never mixed" in wrong.absence.detail
        with pytest.raises(EmbedderUnavailable) as caught:
            await wrong.embed_query("accountant")
        assert caught.value.reason == "model_differs"
        with pytest.raises(EmbedderUnavailable):
            await Worker(db, wrong).step()
        assert (embedder.queries, embedder.documents, embedder.closed) == ([], [], True)
        assert not embedder.started
    assert reason(live) is None


async def test_the_local_model_is_not_loaded_for_another_generation(
    db: Database, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle process that looks again and again whether its model fits does not read 91 MB each time to say no."""
    loads: list[object] = []
    monkeypatch.setattr("service.minilm.embedder._load", loads.append)
    settings = Settings(embedder="local")
    wrong = LiveEmbedder(db, candidates(settings, Lanes(db, settings.ollama_url)))
    for _ in range(2):
        await wrong.connect()
        assert reason(wrong) == "model_differs"
    assert wrong.generation == live.generation, "named in the health report"
    assert loads == []
    await wrong.close()


async def test_a_model_exchanged_under_its_name(
    scene: Scene, worker: Worker, embedder: WordEmbedder, live: LiveEmbedder
) -> None:
    """Vectors of a model that was exchanged while the embedder ran are not stored, and the change is reported."""
    (job_id,) = await scene.post()
    embedder.swapped = True
    outcome = await worker.step()
    assert (outcome.stored, outcome.retried) == (0, 1)
    assert await scene.passages(job_id) == []
    assert reason(live) == "model_differs"
    assert [row["reason"] for row in await scene.tasks()] == ["model_differs"]


async def test_an_exchange_is_found_without_work(
    embedder: WordEmbedder, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection's loop asks from time to time whether the model is the same."""
    await live.connect()
    embedder.swapped = True
    await live.connect()
    assert reason(live) is None, "not asked again at once"
    monkeypatch.setattr(domain, "CHECK_EVERY_S", 0.0)
    await live.connect()
    assert reason(live) == "model_differs"
    embedder.swapped = False
    await live.connect()
    assert reason(live) is None, "and started anew, where it is the same after all"


async def test_absence_and_return(embedder: WordEmbedder, live: LiveEmbedder) -> None:
    """The first time of an outage stays while its reason changes; it ends with a query, or by the loop without one."""
    embedder.down = "refused"
    before = datetime.now(UTC)
    for why in ("refused", "timeout", "timeout"):
        embedder.down = why
        with pytest.raises(EmbedderUnavailable):
            await live.embed_query("accountant")
    absence = live.absence
    assert absence is not None
    assert (absence.reason, absence.since >= before) == ("timeout", True)
    embedder.down = "refused"
    assert await live.connect() >= PAUSE_S[0]
    assert reason(live) is not None
    assert live.absence == msgspec.structs.replace(absence, reason="refused", detail="the embedder is down: refused")
    embedder.down = None
    await live.connect()
    assert reason(live) is None
    embedder.down = "refused"
    with pytest.raises(EmbedderUnavailable):
        await live.embed_query("accountant")
    embedder.down = None
    assert (await live.embed_query("accountant")).vector.dimensions() == 64
    assert reason(live) is None


async def test_nothing_reachable_then_there(db: Database) -> None:
    """A process with no embedder in reach lives on, and connects when one comes up."""
    embedder = WordEmbedder()
    embedder.down = "refused"
    live = LiveEmbedder(db, only(embedder))
    assert reason(live) == "starting"
    for _ in range(2):
        await live.connect()
        assert reason(live) in {"starting", "refused"}
        assert live.generation is None
    embedder.down = None
    await live.connect()
    assert reason(live) is None
    assert LiveEmbedder(db, only()).generation is None


async def test_no_candidates(db: Database) -> None:
    """Without any embedder the reason says so."""
    live = LiveEmbedder(db, only())
    await live.connect()
    assert reason(live) == "not_configured"


async def test_a_hanging_start_holds_nothing_up(db: Database) -> None:
    """While an embedder hangs at its start queries fail at once, and stopping cancels it and releases it."""
    embedder = Hanging()
    live = LiveEmbedder(db, only(embedder))
    loop = Loop("embedder", live.connect)
    loop.start()
    await embedder.reached.wait()
    with pytest.raises(EmbedderUnavailable) as caught:
        await live.embed_query("accountant")
    assert caught.value.reason == "starting"
    await loop.stop(timeout_s=0)
    await live.close()
    assert embedder.closed


async def test_a_database_fault_at_the_start_releases(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedder whose generation cannot be made is released; soon a new one is tried, for it was not its fault."""
    embedder = WordEmbedder()

    async def refuse(*_: object) -> None:
        raise DatabaseUnavailable("away", reason="unreachable")

    monkeypatch.setattr(generations, "ensure_generation", refuse)
    live = LiveEmbedder(db, only(embedder))
    assert await live.connect() == domain.RECONNECT_S
    assert embedder.closed
    assert reason(live) == "starting"
    monkeypatch.undo()
    await live.connect()
    assert reason(live) is None


async def test_a_switched_generation_is_followed(
    db: Database, embedder: WordEmbedder, live: LiveEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another generation goes live, queries are no longer embedded with the old model, and the loop follows."""
    other = WordEmbedder(model="other", dimensions=8)
    monkeypatch.setattr(live, "_candidates", only(other))
    identity = other.identity
    made = await queries.create_generation(
        db,
        provider=identity.provider,
        model=identity.model,
        digest=identity.digest,
        dimensions=8,
        max_tokens=64,
        query_template="{text}",
        document_template="{text}",
        passage_tokens=64,
        passage_overlap=8,
        similarity_floor=0.3,
        coverage_weight=0.25,
        now=datetime.now(UTC),
    )
    async with db.connection() as connection:
        await connection.execute("update live_generation set generation = $1", made)
    monkeypatch.setattr(domain, "GENERATION_MAX_AGE_S", -1.0)
    with pytest.raises(EmbedderUnavailable) as caught:
        await live.embed_query("accountant")
    assert caught.value.reason == "model_differs"
    await live.connect()
    assert (await live.embed_query("accountant")).generation.id == made
    assert (embedder.queries, embedder.closed, other.queries) == ([], True, ["accountant"])
