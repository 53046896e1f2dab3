"""Embedding a long text piece by piece: in time or not at all, and what an absence, an outage and a refusal mean."""

import asyncio
from collections.abc import Sequence

import pytest

from service.db import Database
from service.embedder import Vector
from service.embedding import pieces
from service.embedding.domain import LiveEmbedder
from service.embedding.pieces import embed_pieces
from service.errors import EmbedderUnavailable, TextRefused
from tests.fakes import REFUSED, WordEmbedder

TEXT = "Kept the accounts of a shop in town for years. " * 40


async def test_all_pieces_go_in_one_call(live: LiveEmbedder, embedder: WordEmbedder) -> None:
    """However many pieces there are, the embedder is called once, as for passages, and no input is over its limit."""
    made = await embed_pieces(live, TEXT, 16)
    assert (embedder.calls, embedder.queries) == (1, [])
    assert [TEXT[piece.start : piece.end] for piece in made.pieces] == embedder.documents
    assert all(embedder.count_tokens(text) <= embedder.identity.max_tokens for text in embedder.documents)
    assert made.generation == live.generation


async def test_larger_pieces_are_embedded_in_parts(live: LiveEmbedder, embedder: WordEmbedder) -> None:
    """Where fewer pieces are wanted each is embedded in parts that the model takes, and points where their sum does."""
    made = await embed_pieces(live, TEXT, 2)
    assert len(made.pieces) <= 2
    assert len(embedder.documents) > 2
    assert all(embedder.count_tokens(text) <= embedder.identity.max_tokens for text in embedder.documents)
    for piece in made.pieces:
        assert piece.vector is not None
        assert sum(value * value for value in piece.vector) == pytest.approx(1)


async def test_a_refused_part_refuses_its_piece(live: LiveEmbedder) -> None:
    """A piece of which the model refuses a part has no vector; the others have theirs."""
    made = await embed_pieces(live, f"{TEXT}{REFUSED} {TEXT}", 4)
    refused = [piece for piece in made.pieces if piece.vector is None]
    assert 1 <= len(refused) < len(made.pieces)


async def test_what_comes_too_late_is_given_up(
    live: LiveEmbedder, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An embedder that hangs is waited for as long as a text may take; the searches are none the wiser."""

    async def hang(_texts: Sequence[str]) -> list[Vector | TextRefused]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(embedder, "embed_documents", hang)
    monkeypatch.setattr(pieces, "FIRST_S", 0.01)
    monkeypatch.setattr(pieces, "EACH_S", 0.0)
    with pytest.raises(EmbedderUnavailable) as caught:
        await embed_pieces(live, TEXT, 16)
    assert caught.value.reason == "timeout"
    assert live.absence is None


async def test_an_outage_is_noted_and_not_tried_again(live: LiveEmbedder, embedder: WordEmbedder) -> None:
    """The first failure is the beginning of an absence, in which nothing is sent; the next probe ends it."""
    embedder.down = "unreachable"
    for _ in range(2):
        with pytest.raises(EmbedderUnavailable) as caught:
            await embed_pieces(live, TEXT, 16)
        assert caught.value.reason == "unreachable"
    assert embedder.calls == 1
    embedder.down = None
    await live.connect()
    assert (await embed_pieces(live, TEXT, 16)).pieces


async def test_without_an_embedder_it_says_so(db: Database) -> None:
    """Before any embedder has started the reason is that of its absence."""
    with pytest.raises(EmbedderUnavailable) as caught:
        await embed_pieces(LiveEmbedder(db, lambda _generation: []), TEXT, 16)
    assert caught.value.reason == "starting"
