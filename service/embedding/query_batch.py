"""Search texts on their way through the embedder: equal ones are one, and those that wait for one another share a call.

A model server computes one text after the other, and each call has a cost of its own. A call is sent at once while few
are under way; what comes meanwhile waits, and the next call takes all of it. So a lone query pays nothing, and the more
there are the fewer calls they need. Everybody waits until the own deadline, and a call goes on while anybody waits.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence

from service.embedder import Embedder, QueryOutcome, Vector
from service.embedding.call_size import CallSize
from service.embedding.deadline import leave
from service.embedding.model import Generation
from service.embedding.passages import split_query
from service.embedding.query import direction_of_sum, late
from service.telemetry.stages import observe, stage

CALLS_AT_ONCE = 4
"""As many as the client of Ollama has in flight. One that hangs leaves places; more would only wait elsewhere."""


class Asked:
    """One text on its way, with everybody who waits for it; made by `QueryBatches.join`."""

    def __init__(self, batches: "QueryBatches", embedder: Embedder, generation: Generation, text: str) -> None:
        self.text = text
        self.embedder = embedder
        self.pieces = split_query(text, generation=generation, tokenizer=embedder)
        self.waiters = 0
        self.call: _Call | None = None
        self.context: contextvars.Context | None = None
        self.failure_counted = False
        self._batches = batches
        self._generation = generation
        self._answer: asyncio.Future[Vector | Exception] = asyncio.get_running_loop().create_future()

    @property
    def answered(self) -> bool:
        """Whether there is an answer, or an error instead."""
        return self._answer.done()

    def give(self, outcomes: Sequence[QueryOutcome | Exception]) -> None:
        """Take in what came of each piece: the vector of the whole, or the first error."""
        errors = [one for one in outcomes if isinstance(one, Exception)]
        vectors = [one for one in outcomes if not isinstance(one, Exception)]
        self._answer.set_result(errors[0] if errors else direction_of_sum(vectors))

    async def vector(self, timeout_s: float) -> Vector:
        """The vector, within `timeout_s`; raises EmbedderUnavailable (reason timeout past that) or TextRefused.

        One who is cancelled, or waits no longer, leaves the others their answer.
        """
        self.waiters += 1
        with stage(
            "embed",
            gen_ai_provider_name=self._generation.provider,
            gen_ai_request_model=self._generation.model,
            gen_ai_embeddings_dimension_count=self._generation.dimensions,
            jobsense_embed_texts=len(self.pieces),
        ):
            self.context = self.context or contextvars.copy_context()
            try:
                await asyncio.wait((self._answer,), timeout=timeout_s)
            finally:
                self.waiters -= 1
                if not self.waiters and not self.answered:
                    self._batches.give_up(self)
            if not self.answered:
                self._batches.forget(self)  # else those who ask later would wait for what is late already
                raise late(timeout_s)
            answer = self._answer.result()
            if isinstance(answer, Exception):
                raise answer
            return answer

    def count_failure(self) -> bool:
        """Whether this failure is to be counted: true once for all texts that shared a call."""
        shared = self.call or self
        first, shared.failure_counted = not shared.failure_counted, True
        return first


class _Call:
    """Texts that are with the embedder together."""

    def __init__(self, texts: Sequence[Asked]) -> None:
        self.texts = texts
        self.pieces = [piece for asked in texts for piece in asked.pieces]
        self.failure_counted = False
        self.sent_at = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None]


class QueryBatches:
    """The texts under way and the calls that they share; for one event loop."""

    def __init__(self, size: CallSize | None = None) -> None:
        self._size = size or CallSize()
        self._under_way: dict[str, Asked] = {}
        self._waiting: deque[Asked] = deque()
        self._calls: set[_Call] = set()

    def under_way(self, embedder: Embedder | None, text: str) -> bool:
        """Whether an equal text is on its way, so that another waiter costs nothing."""
        return text in self._under_way and self._under_way[text].embedder is embedder

    def join(self, embedder: Embedder, generation: Generation, text: str) -> Asked:
        """Have a text embedded, or stand beside those who do; await its `vector` at once. Raises TextRefused."""
        if self.under_way(embedder, text):
            return self._under_way[text]
        asked = self._under_way[text] = Asked(self, embedder, generation, text)
        self._waiting.append(asked)
        # Not at once: texts that come together, as those of one request, share a call also when nothing is under way.
        asyncio.get_running_loop().call_soon(self._send)
        return asked

    def give_up(self, asked: Asked) -> None:
        """Nobody waits for it any more: not sent if that is not done; a call that nobody waits for is cancelled."""
        if asked.call is None:
            self._waiting.remove(asked)
            self.forget(asked)
        elif not any(one.waiters for one in asked.call.texts):
            self._end(asked.call, answered=False)
            leave(asked.call.task)

    def forget(self, asked: Asked) -> None:
        """Nobody joins it any more; those who wait for it do so still."""
        if self._under_way.get(asked.text) is asked:
            del self._under_way[asked.text]

    def _send(self) -> None:
        while self._waiting and (self._waiting[0].embedder.gathers_queries or len(self._calls) < CALLS_AT_ONCE):
            call = _Call(self._take())
            self._calls.add(call)
            for asked in call.texts:
                asked.call = call
            # In the context of one who asks, so that what the call notes and sends belongs to a request.
            call.task = asyncio.create_task(self._run(call), context=call.texts[0].context)

    def _take(self) -> list[Asked]:
        """The texts of the next call, in the order in which they came; a text of many pieces is never divided."""
        taken = [self._waiting.popleft()]
        room = (0 if taken[0].embedder.gathers_queries else self._size.most) - len(taken[0].pieces)
        while self._waiting and self._waiting[0].embedder is taken[0].embedder:
            room -= len(self._waiting[0].pieces)
            if room < 0:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _run(self, call: _Call) -> None:
        observe("jobsense_query_call_texts", len(call.pieces))
        answered = False
        try:
            outcomes = await _ask(call)
            if call not in self._calls:
                return  # given up, and deaf to it
            rest = iter(outcomes)
            for asked in call.texts:
                asked.give([next(rest) for _ in asked.pieces])
            answered = not isinstance(outcomes[0], Exception)
        finally:
            if call in self._calls:  # a place that is never given back would be one fewer for ever
                self._end(call, answered=answered)

    def _end(self, call: _Call, *, answered: bool) -> None:
        self._size.learn(len(call.pieces), asyncio.get_running_loop().time() - call.sent_at, answered=answered)
        self._calls.discard(call)
        for asked in call.texts:
            self.forget(asked)
        self._send()


async def _ask(call: _Call) -> Sequence[QueryOutcome | Exception]:
    """One outcome for each piece of a call; whatever goes wrong belongs to those who wait."""
    try:
        outcomes = await call.texts[0].embedder.embed_queries(call.pieces)
    except Exception as error:  # noqa: BLE001 - see above
        return [error] * len(call.pieces)
    if len(outcomes) != len(call.pieces):
        return [RuntimeError(f"{len(call.pieces)} texts were asked for, {len(outcomes)} answered")] * len(call.pieces)
    return outcomes
