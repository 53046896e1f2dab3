"""The command that measures how good the ranking is, on relevance sets of anybody's own."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.table import Table

from service.access.queries import ensure_tenant
from service.config import read
from service.evaluation import queries
from service.evaluation.domain import compare_modes, compare_reports, evaluate, remove_left_over, scratch_tenant
from service.evaluation.measures import mean_of
from service.evaluation.model import (
    MEASURES,
    Comparison,
    Document,
    NotEvaluable,
    RelevanceSet,
    Report,
    SetReport,
    UnreadableSet,
)
from service.evaluation.reading import read_report, read_sets
from service.jobs.model import JobInput, NewJob
from service.jobs.prepare import prepare
from service.parts import Parts
from service.search.model import Mode, SearchRequest
from service.shell.embedding import embed_all
from service.shell.progress import Progress
from service.shell.running import parts_of, run
from service.shell.terminal import printer

MODES: tuple[Mode, ...] = get_args(get_args(Mode)[0])
PORTION = 500
POLL_S = 0.5
NOBODY = "-"
"""The company of a document, which has none."""


@click.command(
    "eval",
    epilog="Example: jobsense eval my-sets   |   jobsense eval my-sets --compare semantic hybrid   |   "
    "jobsense eval --compare before.json after.json",
)
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), help="Repeat for several; default: all.")
@click.option(
    "--compare",
    "compared",
    nargs=2,
    metavar="A B",
    help="Two modes, or without FOLDER two saved reports: is B better than A, or is it chance?",
)
def evaluation(folder: Path | None, modes: tuple[Mode, ...], compared: tuple[str, str] | None) -> None:
    """Measure the ranking on relevance sets, and whether a difference is chance.

    Gives nDCG@10, recall@10 and MRR@10 for each mode: a table on a terminal, JSON when piped.

    FOLDER is a set, or holds sets: docs.jsonl(.gz) with id, title and text a line, queries.tsv with id and text,
    qrels.tsv with query, document and grade. Documents are stored, embedded and searched as postings are, in a tenant
    of their own that is removed afterwards.
    """
    if folder is None:
        if compared is None:
            raise click.UsageError("give a FOLDER with a relevance set, or --compare with two saved reports")
        _print_comparisons(compare_reports(*(read_report(Path(one)) for one in compared)))
        return
    if compared is not None:
        if set(compared) - set(MODES):
            raise click.BadParameter(f"with a FOLDER these are modes: {', '.join(MODES)}", param_hint="--compare")
        modes = tuple(mode for mode in MODES if mode in compared)
    report = run(_evaluate(read_sets(folder), modes or MODES))
    if compared is not None:
        _print_comparisons(compare_modes(report, *compared))
    elif sys.stdout.isatty():
        _print_report(report)
    else:
        click.echo(msgspec.json.encode(report).decode())


async def _evaluate(sets: Sequence[RelevanceSet], modes: Sequence[Mode]) -> Report:
    report = Report([])
    async with parts_of(read()) as parts:
        await remove_left_over(parts.db)
        with Progress() as bar:
            for relevance in sets:
                report.sets.append(await _evaluate_set(parts, relevance, modes, bar))
    return report


async def _evaluate_set(parts: Parts, relevance: RelevanceSet, modes: Sequence[Mode], bar: Progress) -> SetReport:
    bar.say(f"{relevance.name}: {len(relevance.documents):,} documents, {len(relevance.queries):,} searches")
    models: set[str | None] = set()

    async with scratch_tenant(parts.db, lambda name: ensure_tenant(parts.db, name=name)) as tenant_id:
        await _store(parts, tenant_id, relevance.documents)
        if any(mode != "lexical" for mode in modes):
            await _embed(parts, tenant_id, bar)
        else:
            await parts.worker.keep_term_stat()

        async def rank(text: str, mode: str) -> list[str]:
            parts.known.cache.clear()  # so that the time of every mode holds that of the embedding
            request = SearchRequest(text=text, mode=mode, top_k=10)  # type: ignore[arg-type] # one of MODES
            answer = await parts.searcher.search(tenant_id, request)
            if answer.degraded is not None:
                raise NotEvaluable(f"the embedder went away ({answer.degraded.reason}); nothing was evaluated")
            if answer.model is not None:
                models.add(answer.model)
            return [hit.job.external_id or "" for hit in answer.results]

        asking = bar.begin("searching", total=len(modes) * len(relevance.queries))
        scores = await evaluate(relevance, modes, rank, step=lambda done: asking.at(done, f"{done:,} searches"))
    model = next(iter(models)) if models else None
    return SetReport(relevance.name, len(relevance.documents), len(relevance.queries), model, dict(scores))


async def _store(parts: Parts, tenant_id: int, documents: Sequence[Document]) -> None:
    for begin in range(0, len(documents), PORTION):
        portion = documents[begin : begin + PORTION]
        await parts.jobs.store(tenant_id, [_posting(document, index) for index, document in enumerate(portion)])


def _posting(document: Document, index: int) -> NewJob:
    """The document as a posting; not checked, since titles of a set may have any length."""
    title = document.title.strip() or document.id
    posting = JobInput(
        title=title, company=NOBODY, source="eval", external_id=document.id, description=document.text or None
    )
    return prepare(posting, index=index)


async def _embed(parts: Parts, tenant_id: int, bar: Progress) -> None:
    """Embed here, or wait for the worker that runs elsewhere. Raises NotEvaluable where that comes to no end."""
    await embed_all(parts, bar)
    await parts.live.connect()
    waiting = bar.begin("waiting", total=None)
    while pending := await queries.count_pending(parts.db, tenant_id=tenant_id):
        if parts.live.absence is not None:
            raise NotEvaluable(f"nothing is evaluated without an embedder: {parts.live.absence.detail}")
        waiting.at(0, f"{pending:,} documents")
        await asyncio.sleep(POLL_S)
    waiting.end()


def _print_report(report: Report) -> None:
    table = Table("set", "mode", "nDCG@10", "recall@10", "MRR@10", "median ms", "documents", "searches")
    for one in report.sets:
        for mode, scores in one.modes.items():
            cells = [f"{getattr(scores.mean, which):.3f}" for which in MEASURES]
            table.add_row(one.name, mode, *cells, f"{scores.median_ms:.1f}", f"{one.documents:,}", f"{one.queries:,}")
    for mode in report.sets[0].modes if len(report.sets) > 1 else ():
        mean = mean_of([one.modes[mode].mean for one in report.sets])
        table.add_row("mean", mode, *(f"{getattr(mean, which):.3f}" for which in MEASURES), "", "", "")
    printer().print(table)


def _print_comparisons(comparisons: Sequence[Comparison]) -> None:
    if not comparisons:
        raise UnreadableSet("the two have no set and mode in common; there is nothing to compare")
    if not sys.stdout.isatty():
        click.echo(msgspec.json.encode(comparisons).decode())
        return
    table = Table("set", "measure", "A", "B", "B - A", "better", "worse", "p")
    for one in comparisons:
        table.add_row(
            one.set,
            f"{one.measure}@10",
            f"{one.a:.3f}",
            f"{one.b:.3f}",
            f"{one.difference:+.3f}",
            str(one.better),
            str(one.worse),
            f"{one.p:.4f}",
        )
    printer().print(table)


COMMANDS = (evaluation,)
