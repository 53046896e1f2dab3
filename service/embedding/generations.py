"""The first generation of a database: made for the model that is there, once, by whichever process comes first."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service.db import Database
from service.embedder import Embedder, Identity
from service.embedding import queries
from service.embedding.model import (
    COVERAGE_WEIGHT,
    FLOOR_OF_OTHERS,
    PASSAGE_OVERLAP,
    PASSAGE_TOKENS,
    SIMILARITY_FLOORS,
    Generation,
)
from service.errors import EmbedderUnavailable
from service.telemetry.logs import get_logger

log = get_logger(__name__)


async def ensure_generation(db: Database, identity: Identity) -> Generation:
    """The live generation; made for this model when there is none. Safe from several processes at once."""
    live = await queries.fetch_live_generation(db)
    if live is not None:
        return live
    async with db.transaction() as connection:
        await queries.lock_generations(connection)
        live = await queries.fetch_live_generation(connection)
        if live is None:
            await queries.create_generation(
                connection,
                provider=identity.provider,
                model=identity.model,
                digest=identity.digest,
                dimensions=identity.dimensions,
                max_tokens=identity.max_tokens,
                query_template=identity.query_template,
                document_template=identity.document_template,
                passage_tokens=min(identity.max_tokens, PASSAGE_TOKENS),
                passage_overlap=PASSAGE_OVERLAP,
                similarity_floor=SIMILARITY_FLOORS.get(identity.model, FLOOR_OF_OTHERS),
                coverage_weight=COVERAGE_WEIGHT,
                now=datetime.now(UTC),
            )
            live = await queries.fetch_live_generation(connection)
    if live is None:
        raise AssertionError("a generation was made in this transaction")
    return live


async def start_first(
    db: Database, candidates: Sequence[Embedder], generation: Generation | None
) -> tuple[Embedder, Generation]:
    """The first candidate that starts, and the live generation, which is made for it if there is none.

    Raises EmbedderUnavailable with the reason of the first when none starts; those not chosen are closed. One that is
    known to be of another model than a given generation is not started: that may load a model for nothing.
    """
    refused: EmbedderUnavailable | None = None
    for embedder in candidates:
        try:
            _refuse_known_misfit(embedder, generation)
            await embedder.start()
            live = await ensure_generation(db, embedder.identity)
        except EmbedderUnavailable as error:
            refused = refused or error
            await embedder.close()
            continue
        except BaseException:
            await embedder.close()
            raise
        if generation is None:
            say_choice(embedder.identity, refused)
        return embedder, live
    raise refused or EmbedderUnavailable("no embedder is configured", reason="not_configured")


def _refuse_known_misfit(embedder: Embedder, generation: Generation | None) -> None:
    """Raises EmbedderUnavailable when an embedder says before its start that it is not the generation's."""
    try:
        identity = embedder.identity
    except EmbedderUnavailable:  # it learns that from its server
        return
    if generation is not None and not generation.fits(identity):
        raise differs(identity, generation)


def say_choice(identity: Identity, refused: EmbedderUnavailable | None) -> None:
    """Say which model the first generation is made for; loudly when a better candidate was not there."""
    fields = {"provider": identity.provider, "model": identity.model}
    if refused is None:
        log.info("embedder.chosen", **fields)
    else:
        log.warning("embedder.chosen", **fields, instead_because=refused.detail, reason=refused.reason)


def differs(identity: Identity, generation: Generation | None) -> EmbedderUnavailable:
    """The error that says which model embeds here, and which one the live generation was made with."""
    live = f"{generation.provider}/{generation.model} ({generation.digest[:12]})" if generation else "none"
    return EmbedderUnavailable(
        f"the embedder is {identity.provider}/{identity.model} ({identity.digest[:12]}), the live generation {live}; "
        "vectors of two models are never mixed",
        reason="model_differs",
        retry_after_s=60,
    )
