"""The parts of a service, and the state that its paths share while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.errors import InfraError
from configs.schema import ProblemName, Serving, facts_of
from tasks.serving.alias_follower import NICENESS, FollowerState
from tasks.serving.batcher import Batcher, Limits, ModelFailure, Prediction, QueueFull
from tasks.serving.http.auth import Keys
from tasks.serving.http.messages import Messages, Refusal
from tasks.serving.http.metrics import ServiceMetrics
from tasks.serving.http.middleware import read_body
from tasks.serving.http.pair_messages import PairMessages
from tasks.serving.http.questions import Inputs
from tasks.serving.http.quotas import Quotas
from tasks.serving.text_preparation import Preparer, Submit
from tasks.traffic.records import Answer, Feedback, Origin, draw_audit

if TYPE_CHECKING:
    from tasks.serving.generation.engine import GenerationEngine

log = logging.getLogger(__name__)
SOON = {"Retry-After": "1"}


class ChampionFollower(Protocol):
    """What the service needs of a follower: the version that answers, and how it stands."""

    @property
    def current(self) -> Any: ...
    @property
    def standing(self) -> FollowerState: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class TrafficLog(Protocol):
    """What it needs of the traffic log; neither call waits for a disk, nor raises for one."""

    @property
    def counts(self) -> Any: ...
    def answered(self, answers: Sequence[Answer]) -> None: ...
    def feedback(self, feedback: Sequence[Feedback]) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Service:
    """The parts of one service. `audits` gives up to n answers since a moment that wait to be labelled.

    Without `traffic` nothing is kept. `local` says that only this machine can reach it. `submit` runs a function in another
    process; without it long texts are prepared in a thread. `inputs`: what a question holds.
    """

    name: str
    problem: ProblemName
    settings: Serving
    max_characters: int
    champion: ChampionFollower
    keys: Keys
    local: bool
    traffic: TrafficLog | None
    audits: Callable[[int, datetime], list[dict[Any, Any]]]
    submit: Submit | None = None
    inputs: Inputs = "text"


class Runtime:
    """The parts that the paths of a running service share: messages, counters, quotas, the batcher, threads."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self.service, self.settings = service, settings
        self.messages = Messages(service.problem, settings.max_rows, service.max_characters, service.inputs)
        self.pair_messages = PairMessages(service.problem, settings.max_rows, service.max_characters)
        self.watch = ServiceMetrics(
            service.name,
            lambda: service.champion.standing,
            lambda: self.waiting,
            lambda: service.traffic.counts if service.traffic is not None else None,
        )
        limits = Limits(settings.max_batch, settings.max_wait_ms / 1000, settings.max_waiting)
        self.batcher = Batcher(lambda: service.champion.current, limits, self.watch.batch)
        self._engine: GenerationEngine | None = None
        self.writes_text = facts_of(service.problem).writes_text
        # what may take its time, one at a time of its kind: who lists audits holds up no feedback
        self.hearing, self.listing = (ThreadPoolExecutor(1, name, _lower_priority) for name in ("feedback", "audit"))
        self.preparing = ThreadPoolExecutor(1, "preparing", _lower_priority)
        self.reading = ThreadPoolExecutor(1, "reading")  # turns texts into tokens
        self.preparer = Preparer(service.submit or self.preparing.submit)
        self.quotas = Quotas(settings) if service.keys else None
        self.draws = random.Random()
        self.began = time.time()

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        self.service.champion.start()
        yield
        self.service.champion.stop()
        await self.batcher.close()
        if self._engine is not None:
            await self._engine.close()
        if self.service.traffic is not None:
            await asyncio.to_thread(self.service.traffic.close)
        for behind in (self.hearing, self.listing, self.preparing, self.reading):
            behind.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Texts that wait for an answer, or for the rest of one."""
        return self.batcher.waiting + (self._engine.waiting if self._engine is not None else 0)

    @property
    def engine(self) -> GenerationEngine:
        """The engine that writes texts, made where it is first asked for: it needs torch, which takes seconds to import."""
        if self._engine is None:
            from tasks.serving.generation.engine import EngineLimits, GenerationEngine

            self._engine = GenerationEngine(EngineLimits(self.settings.max_batch, self.settings.max_waiting), self.watch.batch)
        return self._engine

    def log_answers(
        self, ids: Sequence[str], version: str, predictions: Sequence[Prediction], began: float, origin: Origin = "predict"
    ) -> None:
        """Give the traffic log a copy of answers, each with its id; some are drawn to be labelled, of a text's first ones."""
        if self.service.traffic is None:
            return
        now, milliseconds = datetime.now(UTC), (time.perf_counter() - began) * 1000
        rate = self.settings.audit_rate if origin == "predict" else 0
        self.service.traffic.answered(
            [
                Answer(answer_id, now, version, *prediction[:3], milliseconds, *draw_audit(rate, self.draws), origin)
                for answer_id, prediction in zip(ids, predictions, strict=True)
            ]
        )

    async def request_body(self, request: Request) -> bytes:
        """A request's body, given up where it does not come in time."""
        seconds = self.settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await read_body(request, self.settings.max_body_bytes)
        except ClientDisconnect:
            raise Refusal(400, "the body ended before its end", "body", "send it again") from None
        except TimeoutError:
            raise Refusal(
                408, f"the body did not come within {seconds:g} s", "body", "send it at once", {"Connection": "close"}
            ) from None

    def late_refusal(self, path: str, remedy: str) -> Refusal:
        """The refusal of a caller whose answer did not come in time."""
        fault = f"no answer within {self.settings.timeout_seconds:g} s"
        return Refusal(504, fault, path, f"{remedy}, or raise serving.timeout_seconds", SOON)

    def refusal_for(self, error: Exception, path: str) -> Refusal:
        """The refusal of a caller whose texts cannot be answered: QueueFull, ModelFailure, InfraError; else no version answers."""
        if isinstance(error, QueueFull):
            what = str(error) or f"{self.waiting} texts"
            return Refusal(503, f"{what} are waiting already", path, "ask again in a second", SOON)
        if isinstance(error, ModelFailure):
            log.error("the model failed on a request", exc_info=error)
            return Refusal(500, "the model failed on these texts", path, "leave the unusual ones out; the service's log says more")
        if isinstance(error, InfraError):
            return unprepared(error, path)
        reason, remedy = _reason_and_remedy(self.service.champion.standing)
        return Refusal(503, f"no version answers yet: {reason}", path, remedy, SOON)


def _reason_and_remedy(now: FollowerState) -> tuple[str, str]:
    """Why no version answers, and what helps; a champion is missed only where one was looked for."""
    if now.refused:
        return now.refused, "see the service's log; the version is tried again by itself"
    if now.registry:
        return now.registry, "see that MLflow answers; the service asks again by itself"
    if not now.looked:
        return "the service has only begun, and has not looked for its champion", "ask again in a second"
    if now.wanted is not None:
        return f"version {now.wanted} is loading", "ask again in a few seconds; /ready says when it answers"
    return "the alias names none", "see /ready; `tunekeeper retrain CONFIG` makes a champion"


def unprepared(error: InfraError, path: str) -> Refusal:
    """The refusal of a caller whose texts could not be prepared, not at the second try either."""
    log.error("texts could not be prepared: %s", error)
    return Refusal(
        503, "the texts cannot be prepared now", path, "send them again in a few seconds: nothing of them was logged", SOON
    )


def json_response(value: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), status, media_type="application/json")


def _lower_priority() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
