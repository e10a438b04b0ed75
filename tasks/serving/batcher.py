"""Texts of many requests go through the model together: one thread answers, callers wait without holding the event loop.

A batch is what has come while the one before it was answered. Only an idle model waits, and only for as many requests as its last
batch had: one caller alone is answered at once, and many who ask again as soon as they are answered meet in one batch. Where more
waits than a batch holds, callers have turns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tasks.serving.fair_queue import TurnQueue

if TYPE_CHECKING:
    from tasks.serving.text_preparation import Recipe

log = logging.getLogger(__name__)


class Prediction(NamedTuple):
    """A model's answer to one text: the text as it saw it, the prediction, and its probability where it has one.

    `raw`: where it is of places in the text, what the caller is told of those in the text that was sent, as JSON.
    """

    text: str
    prediction: str
    score: float | None
    raw: str | None = None


class AnsweringModel(Protocol):
    """A version that can answer; called from one thread at a time."""

    @property
    def version(self) -> str: ...
    @property
    def recipe(self) -> Recipe | None: ...  # how its texts are prepared; None: not at all

    def answers(self, texts: Sequence[str]) -> list[Prediction | None]: ...  # None: not to be answered, for it costs too much


class QueueFull(Exception):  # noqa: N818  (a state of the service, no mistake)
    """So many texts wait that more would only wait longer."""


class NoModel(Exception):  # noqa: N818
    """There is no version to answer with yet, or no more."""


class ModelFailure(Exception):  # noqa: N818
    """The model could not answer a request's texts; its cause says why."""


@dataclass(frozen=True)
class Limits:
    """Texts in one batch, seconds that an idle model waits for one to fill, texts that may wait, characters in one batch.

    A text alone may be longer than a batch.
    """

    batch: int
    wait: float
    waiting: int
    characters: int = 50_000


class BatchRequest:
    """The texts of one request, its caller, and the version that answers all of them: the one that was current when it came."""

    __slots__ = ("caller", "failed", "future", "loop", "model", "said", "taken", "texts")

    def __init__(self, texts: Sequence[str], model: AnsweringModel, caller: str, loop: asyncio.AbstractEventLoop) -> None:
        self.texts, self.model, self.caller, self.loop, self.taken = texts, model, caller, loop, 0
        self.future: asyncio.Future[None] = loop.create_future()
        self.said: list[Prediction | None] = []
        self.failed: Exception | None = None

    @property
    def left(self) -> int:
        """Texts that are not in a batch yet; none once their caller has gone."""
        return 0 if self.failed is not None or self.future.done() else len(self.texts) - self.taken

    def finish(self) -> None:
        """In the event loop: wake the caller, if it still waits."""
        if self.future.done():
            return
        if self.failed is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.failed)


class Batcher:
    """One queue and the thread that empties it; `current` gives the model that a new request is answered with.

    `on_batch` is called with the texts and the seconds of every batch.
    """

    def __init__(
        self, current: Callable[[], AnsweringModel | None], limits: Limits, on_batch: Callable[[int, float], None]
    ) -> None:
        self._current, self._limits, self._seen = current, limits, on_batch
        self._inbox: SimpleQueue[BatchRequest | None] = SimpleQueue()
        self._jobs = TurnQueue[BatchRequest]()
        self._last = 0  # requests in the last batch
        self._closing = self._ended = False
        self.waiting = 0
        self._thread = threading.Thread(target=self._answer_until_closed, name="answers", daemon=True)
        self._thread.start()

    # --- the caller's side: the event loop ------------------------------------------------------------------------------

    async def answer(
        self, texts: Sequence[str], model: AnsweringModel | None = None, caller: str = ""
    ) -> tuple[str, list[Prediction | None]]:
        """The version that answered, which is `model` if that is given, and its prediction for each text.

        Raises QueueFull or NoModel at once, ModelFailure if the model fails. Cancelled, as by a timeout, it leaves nothing behind.
        """
        model = model or self._current()
        if self._closing or model is None:
            raise NoModel
        if self.waiting + len(texts) > self._limits.waiting:
            raise QueueFull
        if not texts:
            return model.version, []
        job = BatchRequest(texts, model, caller, asyncio.get_running_loop())
        self.waiting += len(texts)
        self._inbox.put(job)
        try:
            await job.future
        finally:
            self.waiting -= len(texts)
        return model.version, job.said

    async def close(self) -> None:
        """Answer what is waiting, then end; later calls raise NoModel."""
        self._closing = True
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _answer_until_closed(self) -> None:
        while self._gather_requests():
            began = time.perf_counter()
            batch = self._take_batch()
            for model in {id(job.model): job.model for job, _ in batch}.values():
                _answer_batch(model, [(job, texts) for job, texts in batch if job.model is model])
            if batch:  # counted before the callers are woken
                self._last = len(batch)
                self._seen(sum(len(texts) for _, texts in batch), time.perf_counter() - began)
            _wake_callers([job for job, _ in batch if job.failed is not None or job.taken == len(job.texts)])

    def _gather_requests(self) -> bool:
        """Take in all that has come; wait for work, then for a batch to fill. False when there will be no more."""
        rows = sum(job.left for job in self._jobs)
        idle, until = not self._jobs and self._inbox.empty(), 0.0
        while not self._ended:
            patience = None if not self._jobs else 0.0
            if idle and self._jobs and len(self._jobs) < self._last and rows < self._limits.batch:
                patience = max(0.0, until - time.perf_counter())
            try:
                job = self._inbox.get(patience != 0, patience)
            except Empty:
                break
            if job is None:
                self._ended = True
                break
            until = until or time.perf_counter() + self._limits.wait
            self._jobs.add(job.caller, job)
            rows += job.left
        return bool(self._jobs) or not self._ended

    def _take_batch(self) -> list[tuple[BatchRequest, Sequence[str]]]:
        """The next texts, callers by turns; a request larger than the room that is left goes on behind its caller's others."""
        room, characters = self._limits.batch, self._limits.characters
        batch: list[tuple[BatchRequest, Sequence[str]]] = []
        for _ in range(len(self._jobs)):
            if not room or (batch and characters <= 0):
                break
            job = self._jobs.take()
            texts = _leading_texts(job.texts[job.taken : job.taken + min(room, job.left)], characters, at_least=0 if batch else 1)
            if not texts:
                if job.left:
                    self._jobs.add(job.caller, job)
                continue
            job.taken += len(texts)
            room -= len(texts)
            characters -= sum(map(len, texts))
            batch.append((job, texts))
            if job.left:
                self._jobs.add(job.caller, job)
        return batch


def _leading_texts(texts: Sequence[str], characters: int, at_least: int) -> Sequence[str]:
    """The first texts, as many as have so many characters together."""
    for place, size in enumerate(accumulate(map(len, texts))):
        if size > characters:
            return texts[: max(place, at_least)]
    return texts


def _answer_batch(model: AnsweringModel, batch: list[tuple[BatchRequest, Sequence[str]]]) -> None:
    """Answer all at once; where that fails, one by one, so that a text no model can read fails its own request alone."""
    try:
        predictions = model.answers([text for _, texts in batch for text in texts])
    except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to the request that caused it; this thread answers all others)
        if len(batch) > 1:
            for entry in batch:
                _answer_batch(model, [entry])
        else:
            batch[0][0].failed = ModelFailure(str(error))
            batch[0][0].failed.__cause__ = error
        return
    at = 0
    for job, texts in batch:
        job.said += predictions[at : at + len(texts)]
        at += len(texts)


def _wake_callers(jobs: list[BatchRequest]) -> None:
    """Wake all of a batch's callers with one call into their loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[BatchRequest]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_finish_requests, done)
        except RuntimeError:  # the loop has ended, and its callers with it
            log.info("%d answers came after their callers had gone", len(done))


def _finish_requests(jobs: list[BatchRequest]) -> None:
    for job in jobs:
        job.finish()
