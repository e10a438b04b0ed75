"""Texts of many requests are written together: a token of each at every step, between which answers join and leave.

A request is written by the version that was current when it came, to its end; each version has its own batches, which go when its
last answer is done. Callers wait without holding the event loop. They are told that something changed, and read how far their
answers are: who reads slowly holds up nobody and takes no more memory than the answer itself.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch

from tasks.serving.batcher import NoModel, QueueFull
from tasks.serving.fair_queue import TurnQueue
from tasks.serving.generation.draft import AnswerRequest, Draft
from tasks.serving.generation.version_batches import VersionBatches
from tasks.serving.generation.writer import Writer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineLimits:
    """Answers that are written at once, answers that may wait or be written, tokens of prompts that are read between two steps.

    A prompt alone may be longer than those; padding counts.
    """

    rows: int
    waiting: int
    prompt_tokens: int = 4096


class RequestAnswers:
    """The answers of one request; `by_step`: its caller follows them step by step, and is not told of their end alone."""

    def __init__(self, drafts: list[Draft], by_step: bool, caller: str, loop: asyncio.AbstractEventLoop) -> None:
        self.drafts, self.by_step, self.caller, self.loop = drafts, by_step, caller, loop
        self._changed = asyncio.Event()

    @property
    def is_done(self) -> bool:
        """Whether all of them are, or one cannot be written, which ends the request."""
        return all(draft.is_done for draft in self.drafts) or any(draft.failure for draft in self.drafts)

    async def wait_for_change(self) -> None:
        """Wait until the answers have got further since this was last called; ModelFailure where one cannot be written."""
        await self._changed.wait()
        self._changed.clear()
        for draft in self.drafts:
            if draft.failure is not None:
                raise draft.failure

    async def wait_until_done(self) -> None:
        """Wait for the end of all answers; ModelFailure where one cannot be written."""
        while not all(draft.reason for draft in self.drafts):
            await self.wait_for_change()

    def note_change(self) -> None:
        """In the event loop."""
        self._changed.set()

    def abandon(self) -> None:
        """Nobody waits any more: what is not done yet is not written on."""
        for draft in self.drafts:
            draft.abandoned = True


class GenerationEngine:
    """The thread that writes; `on_step` is called with the answers and the seconds of every step."""

    def __init__(self, limits: EngineLimits, on_step: Callable[[int, float], None]) -> None:
        self._limits, self._on_step = limits, on_step
        self._inbox: SimpleQueue[RequestAnswers | None] = SimpleQueue()
        self._pending = TurnQueue[Draft]()
        self._by_version: dict[int, VersionBatches] = {}  # by the writer's id, as they hold their writer
        self._writings: list[RequestAnswers] = []
        self._closing = self._ended = False
        self.waiting = 0
        self._thread = threading.Thread(target=self._write_until_closed, name="writing", daemon=True)
        self._thread.start()

    # --- the caller's side: the event loop ------------------------------------------------------------------------------

    @asynccontextmanager
    async def write(
        self, writer: Writer, requests: Sequence[AnswerRequest], by_step: bool = False, caller: str = ""
    ) -> AsyncIterator[RequestAnswers]:
        """The answers on their way, until the block ends: what is not done then is given up, and its place is free.

        Raises NoModel where the engine is closing, QueueFull where too many wait.
        """
        if self._closing:
            raise NoModel
        if self.waiting + len(requests) > self._limits.waiting:
            raise QueueFull
        drafts = [Draft(writer, request) for request in requests]
        writing = RequestAnswers(drafts, by_step, caller, asyncio.get_running_loop())
        self.waiting += len(requests)
        self._inbox.put(writing)
        try:
            yield writing
        finally:
            self.waiting -= len(requests)
            writing.abandon()

    async def close(self) -> None:
        """Write what somebody waits for to its end, then end; later calls raise NoModel."""
        self._closing = True
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _write_until_closed(self) -> None:
        with torch.inference_mode():
            while self._take_in():
                began = time.perf_counter()
                if self._admit_pending():
                    self._wake_callers()  # a first token is not kept back for the second
                rows = self._step_versions()
                if rows:
                    self._on_step(rows, time.perf_counter() - began)
                self._wake_callers()

    def _take_in(self) -> bool:
        """Take in all that has come; wait for work where there is none. False when there will be no more."""
        while not self._ended:
            try:
                writing = self._inbox.get(block=not self._writings)
            except Empty:
                break
            if writing is None:
                self._ended = True
                break
            self._writings.append(writing)
            for draft in writing.drafts:
                self._pending.add(writing.caller, draft)
        if len(self._pending) > self._limits.waiting:  # callers that came and went
            self._pending.keep(lambda draft: not draft.is_done)
        return bool(self._writings) or not self._ended

    def _admit_pending(self) -> bool:
        """Let answers join, callers by turns, as many as there is room for and as are read quickly; whether there were any."""
        waiting = len(self._pending)
        room, tokens = self._limits.rows - sum(batches.rows for batches in self._by_version.values()), self._limits.prompt_tokens
        while room > 0 and tokens > 0 and (drafts := self._next_drafts(room, tokens)):
            batches = self._by_version.setdefault(id(drafts[0].writer), VersionBatches(drafts[0].writer))
            batches.admit(drafts)
            room -= len(drafts)
            tokens -= len(drafts) * max(len(draft.request.prompt.tokens) for draft in drafts)
        return len(self._pending) < waiting

    def _next_drafts(self, most: int, tokens: int) -> list[Draft]:
        """The first of those that wait, of one version, that are read together with so many tokens."""
        drafts: list[Draft] = []
        longest = 0
        while self._pending and len(drafts) < most:
            draft = self._pending.first()
            longest = max(longest, len(draft.request.prompt.tokens))
            if drafts and (draft.writer is not drafts[0].writer or longest * (len(drafts) + 1) > tokens):
                break
            self._pending.take()
            if not draft.is_done:
                drafts.append(draft)
        return drafts

    def _step_versions(self) -> int:
        rows = sum(batches.step() for batches in self._by_version.values())
        self._by_version = {key: batches for key, batches in self._by_version.items() if batches.rows}
        return rows

    def _wake_callers(self) -> None:
        """Tell all whose answers are being written, with one call into each loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[RequestAnswers]] = {}
        done = {id(writing) for writing in self._writings if writing.is_done}
        for writing in self._writings:
            if writing.by_step or id(writing) in done:
                by_loop.setdefault(writing.loop, []).append(writing)
        self._writings = [writing for writing in self._writings if id(writing) not in done]
        for loop, writings in by_loop.items():
            try:
                loop.call_soon_threadsafe(_note_changes, writings)
            except RuntimeError:  # the loop has ended, and its callers with it
                for writing in writings:
                    writing.abandon()


def _note_changes(writings: Sequence[RequestAnswers]) -> None:
    for writing in writings:
        writing.note_change()
