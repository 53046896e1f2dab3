"""How searches are answered: what matches, in which order, how wide the look is, and what is said about it."""

from datetime import UTC, datetime, timedelta

import pytest

from service.config import Settings
from service.db import Database
from service.embedding.domain import LiveEmbedder
from service.embedding.worker import Worker
from service.errors import EmbedderUnavailable
from service.jobs.domain import Jobs
from service.jobs.model import Filters
from service.search.domain import BUDGET, WAITING_WARNING, Searcher
from service.search.model import SearchAnswer, SearchRequest
from service.search.scan import ScanChooser
from service.telemetry.stages import task_record
from tests.factories import new_job
from tests.fakes import WordEmbedder

TENANT = 1
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def jobs(db: Database) -> Jobs:
    """The postings of this test's database, from any source."""
    return Jobs(db, Settings(sources=("*",)))


@pytest.fixture
def searcher(db: Database, live: LiveEmbedder) -> Searcher:
    """Searches by the chosen scan."""
    return Searcher(db, live.embed_query, lambda: SINCE)


async def store(jobs: Jobs, worker: Worker, titles: list[str], **fields: object) -> list[int]:
    """Store and embed postings with these titles; their ids."""
    rows = [new_job(index, title=title, description=..., **fields) for index, title in enumerate(titles)]
    stored = await jobs.store(TENANT, rows)
    while (await worker.step()).claimed:
        pass
    await worker.keep_term_stat()
    return [one.job_id for one in stored]


def titles(answer: SearchAnswer) -> list[str]:
    """The titles found, the best first."""
    return [hit.job.title for hit in answer.results]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
async def test_each_mode_finds_what_shares_words(mode: str, jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """The posting that shares the words is first in every mode, and scores lie in 0..1 in falling order."""
    await store(jobs, worker, ["Paediatric nurse", "Truck driver", "Night nurse", "Bookkeeper"])
    answer = await searcher.search(TENANT, SearchRequest(text="paediatric nurse", mode=mode))  # type: ignore[arg-type] # parametrised
    assert titles(answer)[0] == "Paediatric nurse"
    scores = [hit.score for hit in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert [hit.rank for hit in answer.results] == list(range(1, len(scores) + 1))
    assert answer.mode.served == mode
    assert answer.degraded is None


async def test_hits_and_total_come_from_one_definition(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """A page shorter than the total is full; a page that holds all has exactly the total."""
    await store(jobs, worker, [f"Nurse ward {number}" for number in range(30)] + ["Welder", "Baker"])
    page = await searcher.search(TENANT, SearchRequest(text="nurse ward", mode="semantic", top_k=10))
    assert (len(page.results), page.total.value, page.total.relation) == (10, 30, "exact")
    whole = await searcher.search(TENANT, SearchRequest(text="nurse ward", mode="semantic", top_k=100))
    assert len(whole.results) == whole.total.value == 30


async def test_the_floor_decides_what_matches_by_meaning(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """min_score lifts or lowers the floor of the model; nothing below it is found."""
    await store(jobs, worker, ["Nurse", "Nurse manager of the night shift", "Welder"])
    strict = await searcher.search(TENANT, SearchRequest(text="nurse", mode="semantic", min_score=0.99))
    assert strict.total.value == 0
    loose = await searcher.search(TENANT, SearchRequest(text="nurse", mode="semantic", min_score=0.0))
    assert loose.total.value >= 2
    assert all(hit.score >= 0 for hit in loose.results)


async def test_a_rare_word_is_found_though_the_vector_misses_it(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """Hybrid finds a posting by an exact rare word even where its vector is not near, and before it is embedded."""
    await store(jobs, worker, [f"Clerk number {number}" for number in range(40)])
    await jobs.store(TENANT, [new_job(0, title="Operator", description="Runs the Zorblax press in the hall.")])
    await worker.keep_term_stat()
    answer = await searcher.search(TENANT, SearchRequest(text="zorblax", mode="hybrid"))
    hit = next(hit for hit in answer.results if hit.job.title == "Operator")
    assert hit.rank <= 3
    assert hit.passage is None
    assert hit.job.embedding.state == "pending"
    semantic = await searcher.search(TENANT, SearchRequest(text="zorblax", mode="semantic"))
    assert "Operator" not in titles(semantic)


async def test_equal_input_gives_equal_order(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """Postings with one score keep their order from search to search: the older first."""
    ids = await store(jobs, worker, ["Porter"] * 12, company="Same")
    request = SearchRequest(text="porter", mode="semantic")
    first, second = await searcher.search(TENANT, request), await searcher.search(TENANT, request)
    assert [hit.job.id for hit in first.results] == [hit.job.id for hit in second.results] == ids[:10]


async def test_the_best_passage_is_quoted_with_its_place(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """Of a long posting the passage that matches is quoted, and its offsets index the text."""
    filler = "Ordinary duties and the usual terms apply to everybody here. " * 30
    text = f"{filler}The helicopter pilot must know mountains. {filler}"
    (stored,) = await jobs.store(TENANT, [new_job(0, title="Staff", description=text)])
    while (await worker.step()).claimed:
        pass
    answer = await searcher.search(
        TENANT, SearchRequest(text="helicopter pilot mountains", mode="semantic", min_score=0.0)
    )
    passage = answer.results[0].passage
    assert passage is not None
    assert "helicopter pilot" in passage.text
    body = answer.results[0].job.description
    assert body is not None
    assert body.strip()[passage.start : passage.end] == passage.text
    assert stored.job_id == answer.results[0].job.id


async def test_no_passage_is_quoted_from_a_text_that_changed(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """While a changed text waits to be embedded, its posting is found by the old vectors and quotes nothing."""
    row = new_job(0, title="Staff", external_id="one", description="The helicopter pilot must know mountains.")
    await jobs.store(TENANT, [row])
    await worker.step()
    await jobs.store(TENANT, [new_job(0, title="Staff", external_id="one", description="A clerk counts stock.")])
    answer = await searcher.search(TENANT, SearchRequest(text="helicopter pilot", mode="semantic"))
    assert [hit.passage for hit in answer.results] == [None]
    await worker.step()
    answer = await searcher.search(TENANT, SearchRequest(text="clerk stock", mode="semantic", min_score=0.0))
    assert answer.results[0].passage is not None
    assert "counts stock" in answer.results[0].passage.text


async def test_a_text_longer_than_the_model_takes_is_split(
    jobs: Jobs, worker: Worker, searcher: Searcher, embedder: WordEmbedder
) -> None:
    """Every word of a long text counts: what is named at its end is found by meaning."""
    await store(jobs, worker, ["Helicopter pilot", "Clerk"])
    text = "stories " * 100 + "helicopter pilot " * 30
    answer = await searcher.search(TENANT, SearchRequest(text=text, mode="semantic", min_score=0.0))
    assert (answer.mode.served, titles(answer)[0]) == ("semantic", "Helicopter pilot")
    assert len(embedder.queries) > 1
    assert all(embedder.count_tokens(piece) <= embedder.identity.max_tokens for piece in embedder.queries)


async def test_a_look_that_its_budget_cut_is_widened(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """Copies in many passages do not keep a page short: the look goes on until it is full."""
    long_text = " ".join(f"Sentence {number} tells of welding steel." for number in range(400))
    await jobs.store(TENANT, [new_job(index, title="Welder", description=long_text) for index in range(3)])
    await store(jobs, worker, [f"Welding helper {number}" for number in range(20)])
    request = SearchRequest(text="sentence tells of welding steel", mode="semantic", top_k=20, min_score=0.05)
    answer = await searcher.search(TENANT, request)
    assert len(answer.results) == 20
    assert answer.total.value > 3


async def test_postings_of_many_passages_do_not_shorten_a_page(
    db: Database, jobs: Jobs, worker: Worker, searcher: Searcher
) -> None:
    """A look at every row counts postings, not passages: thirty of two hundred passages each fill a page of thirty."""
    await store(jobs, worker, [f"Welder {number}" for number in range(30)], company="Same")
    async with db.connection() as connection:
        await connection.execute(
            "insert into passage_g1 (job_id, passage_no, tenant_id, source, body_start, body_end, embedding)"
            " select job_id, n, tenant_id, source, 0, 0, embedding from passage_g1, generate_series(1, 200) n"
        )
    filters = Filters(company=("same",))
    request = SearchRequest(text="welder", mode="semantic", top_k=30, min_score=0.0, filters=filters)
    answer = await searcher.search(TENANT, request)
    assert len(answer.results) == 30
    assert (answer.total.value, answer.total.relation) == (30, "exact")


async def test_total_says_at_least_when_the_budget_ended_it(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """More matches than the budget looks at are counted as "at least"."""
    await store(jobs, worker, ["Guard at the gate"] * (BUDGET + 20))
    answer = await searcher.search(TENANT, SearchRequest(text="guard gate", mode="semantic"))
    assert answer.total.relation == "at_least"
    assert answer.total.value == BUDGET


@pytest.mark.parametrize("exact_scan_limit", [0, 50_000])
async def test_filters_are_true_by_either_scan(
    db: Database, live: LiveEmbedder, jobs: Jobs, worker: Worker, exact_scan_limit: int
) -> None:
    """A page behind a narrow filter is full and every hit passes, by the index and by a full look."""
    await store(jobs, worker, [f"Cook of kitchen {number}" for number in range(2500)], source="alpha", company="Big")
    await store(jobs, worker, [f"Cook of kitchen {number}" for number in range(12)], source="beta", company="Small")
    async with db.connection() as connection:
        await connection.execute("analyze")
    chooser = ScanChooser(exact_scan_limit=exact_scan_limit)
    searcher = Searcher(db, live.embed_query, lambda: SINCE, chooser=chooser)
    for filters in (Filters(source=("beta",)), Filters(company=("  sMALL ",)), Filters(source=("beta",), remote=None)):
        request = SearchRequest(text="cook kitchen", mode="semantic", filters=filters, top_k=12, min_score=0.0)
        with task_record("ingest") as record:
            answer = await searcher.search(TENANT, request)
        assert len(answer.results) == 12
        assert {hit.job.source for hit in answer.results} == {"beta"}
        if exact_scan_limit:
            assert record.attributes["jobsense.search.index"] == "exact"


async def test_the_index_serves_without_filters(db: Database, jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """A large generation is searched by its index when nothing narrows it."""
    await store(jobs, worker, [f"Cook of kitchen {number}" for number in range(2200)])
    async with db.connection() as connection:
        await connection.execute("analyze")
    with task_record("ingest") as record:
        answer = await searcher.search(TENANT, SearchRequest(text="cook kitchen 77", mode="semantic"))
    assert record.attributes["jobsense.search.index"] == "index"
    assert len(answer.results) == 10
    with task_record("ingest") as record:
        nothing = await searcher.search(TENANT, SearchRequest(text="zebra", mode="semantic", min_score=0.95))
    assert record.attributes["jobsense.search.index"] == "index", "no match must not cost a look at every row"
    # An index finds nearly all that there is, and nearly is not exact.
    assert (nothing.results, nothing.total.value, nothing.total.relation) == ([], 0, "at_least")


async def test_dates_and_expiry_filter(jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """posted_after is inclusive, posted_before exclusive, active looks at expires_at; no date passes no date filter."""
    day = datetime(2026, 5, 1, tzinfo=UTC)
    for offset in range(3):
        posted = (day + timedelta(days=offset)).isoformat()
        expires = "2020-01-01T00:00:00Z" if offset == 0 else "2999-01-01T00:00:00Z"
        await store(jobs, worker, [f"Baker {offset}"], posted_at=posted, expires_at=expires)
    await store(jobs, worker, ["Baker undated"])

    async def found(**filters: object) -> set[str]:
        request = SearchRequest(text="baker", mode="semantic", filters=Filters(**filters), min_score=0.0)  # type: ignore[arg-type] # by name
        return set(titles(await searcher.search(TENANT, request)))

    assert await found(posted_after=day + timedelta(days=1)) == {"Baker 1", "Baker 2"}
    assert await found(posted_before=day + timedelta(days=1)) == {"Baker 0"}
    assert await found(active=True) == {"Baker 1", "Baker 2", "Baker undated"}
    assert await found(active=False) == {"Baker 0"}


async def test_tenants_never_meet(jobs: Jobs, worker: Worker, searcher: Searcher, db: Database) -> None:
    """No mode finds another tenant's postings."""
    async with db.connection() as connection:
        other = await connection.fetchval("insert into tenant (name) values ('other') returning id")
    await store(jobs, worker, ["Surgeon"])
    for mode in ("hybrid", "semantic", "lexical"):
        answer = await searcher.search(other, SearchRequest(text="surgeon", mode=mode))
        assert answer.total.value == 0


async def test_without_an_embedder_it_answers_by_words_and_says_so(
    jobs: Jobs, worker: Worker, searcher: Searcher, embedder: WordEmbedder
) -> None:
    """While queries cannot be embedded, words answer, labelled with reason and time; `fail` asks for an error."""
    await store(jobs, worker, ["Tailor", "Carpenter"])
    embedder.down = "timeout"
    answer = await searcher.search(TENANT, SearchRequest(text="tailor"))
    assert titles(answer) == ["Tailor"]
    assert (answer.mode.asked, answer.mode.served) == ("hybrid", "lexical")
    assert answer.degraded is not None
    assert (answer.degraded.reason, answer.degraded.since) == ("timeout", SINCE)
    assert answer.generation is None
    with pytest.raises(EmbedderUnavailable):
        await searcher.search(TENANT, SearchRequest(text="tailor", on_degraded="fail"))
    embedder.down = None
    assert (await searcher.search(TENANT, SearchRequest(text="tailor"))).mode.served == "hybrid"


@pytest.mark.parametrize("text", ["the and of", "'; drop table job; --", "a & b | !c <-> 'd'", "\\", "🚑", "ጤና"])
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
async def test_hostile_text_is_only_text(text: str, mode: str, jobs: Jobs, worker: Worker, searcher: Searcher) -> None:
    """Stop words, operators, quotes and any script are searched as text and never break the statement."""
    await store(jobs, worker, ["Tailor"])
    answer = await searcher.search(TENANT, SearchRequest(text=text, mode=mode))  # type: ignore[arg-type] # a Mode
    assert answer.total.value in (0, 1)


async def test_postings_that_wait_to_be_embedded_are_spoken_of(db: Database, live: LiveEmbedder, jobs: Jobs) -> None:
    """While some postings have no vectors yet, a search by meaning warns of it; one by words has nothing to warn of."""
    await jobs.store(TENANT, [new_job(0, title="Tailor")])
    worker = Worker(db, live)
    searcher = Searcher(db, live.embed_query, lambda: SINCE, waiting=lambda: worker.waiting)
    await worker.watch_backlog()
    assert (await searcher.search(TENANT, SearchRequest(text="tailor"))).warnings == [WAITING_WARNING]
    assert (await searcher.search(TENANT, SearchRequest(text="tailor", mode="lexical"))).warnings == []
    await worker.step()
    await worker.watch_backlog()
    assert (await searcher.search(TENANT, SearchRequest(text="tailor"))).warnings == []
