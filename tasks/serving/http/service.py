"""The service over HTTP: it reads questions, hands them to the batcher, keeps what was answered, and says how it is."""

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
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.credentials import clean_value
from configs.errors import InfraError, InputError
from configs.schema import ProblemName, Serving, facts_of
from tasks.data.normalise import unusable_reason
from tasks.data.redaction.redact import OVER_BUDGET
from tasks.serving.alias_follower import NICENESS, FollowerState
from tasks.serving.batcher import Batcher, Busy, Failed, Limits, NoModel, Prediction
from tasks.serving.http.auth import Caller, Keys
from tasks.serving.http.cancellation import while_connected
from tasks.serving.http.messages import Messages, Refusal, parse_body
from tasks.serving.http.metrics import ServiceMetrics
from tasks.serving.http.middleware import CALLER, Door, lacks_role, read_body, refusal_response
from tasks.serving.http.openapi import SCHEMES, describe_path
from tasks.serving.http.quotas import Quotas
from tasks.serving.text_preparation import Preparer, Submit
from tasks.traffic.records import Answer, Feedback, draw_audit, new_id

log = logging.getLogger(__name__)
QUESTION = '{"text": "..."} or {"texts": ["...", ...]} as application/json'
FEEDBACK = '{"answer_id": "...", "kind": "...", "value": "..."} as /openapi.json describes it'
AUDIT_DAYS = 7.0  # as far as the monitors look back, unless told otherwise
NOT_LOOKED = "not looked at yet"
SOON = {"Retry-After": "1"}
T = TypeVar("T")


class Following(Protocol):
    """What the service needs of a follower: the version that answers, and how it stands."""

    @property
    def current(self) -> Any: ...
    @property
    def standing(self) -> FollowerState: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Log(Protocol):
    """What it needs of the traffic log; neither call waits for a disk, nor raises for one."""

    @property
    def counts(self) -> Any: ...
    def answered(self, answers: Sequence[Answer]) -> None: ...
    def feedback(self, feedback: Sequence[Feedback]) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Service:
    """What one service is made of. `audits` gives up to n answers since a moment that wait to be labelled.

    Without `traffic` nothing is kept. `local` says that only this machine can reach it. `submit` runs a function in another
    process; without it long texts are prepared in a thread.
    """

    name: str
    problem: ProblemName
    settings: Serving
    max_characters: int
    champion: Following
    keys: Keys
    local: bool
    traffic: Log | None
    audits: Callable[[int, datetime], list[dict[Any, Any]]]
    submit: Submit | None = None


def create_app(service: Service) -> FastAPI:
    """The application; its start starts the follower, its end answers what waits and closes the log."""
    routes = Routes(service)
    app = FastAPI(
        title=f"Tunekeeper: {service.name}",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=routes.life,
    )
    app.add_middleware(Door, keys=service.keys, local=service.local, requests=routes.watch.requests)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_exception_handler(Exception, _broken)
    paths: dict[str, tuple[str, Callable[..., Any]]] = {
        "/predict": ("POST", routes.predict),
        "/feedback": ("POST", routes.feedback),
        "/audit": ("GET", routes.audit),
        "/health": ("GET", routes.health),
        "/ready": ("GET", routes.ready),
        "/metrics": ("GET", routes.metrics),
    }
    for path, (method, answer) in paths.items():
        app.add_api_route(path, answer, methods=[method], **describe_path(path, routes.messages, service.keys, service.local))
    if service.keys:
        app.openapi()["components"]["securitySchemes"] = SCHEMES  # FastAPI writes the page once
    return app


class Routes:
    """One method per path."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self.service, self.settings = service, settings
        self.messages = Messages(service.problem, settings.max_rows, service.max_characters)
        self.watch = ServiceMetrics(
            service.name,
            lambda: service.champion.standing,
            lambda: self.batcher.waiting,
            lambda: service.traffic.counts if service.traffic is not None else None,
        )
        limits = Limits(settings.max_batch, settings.max_wait_ms / 1000, settings.max_waiting)
        self.batcher = Batcher(lambda: service.champion.current, limits, self.watch.batch)
        # what may take its time, one at a time of its kind: who lists audits holds up no feedback
        self.hearing, self.listing = (ThreadPoolExecutor(1, name, _behind) for name in ("feedback", "audit"))
        self.preparing = ThreadPoolExecutor(1, "preparing", _behind)
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
        if self.service.traffic is not None:
            await asyncio.to_thread(self.service.traffic.close)
        for behind in (self.hearing, self.listing, self.preparing):
            behind.shutdown(wait=False, cancel_futures=True)

    # --- answers --------------------------------------------------------------------------------------------------------

    async def predict(self, request: Request) -> Response:
        """Answer one text, or many, with the champion."""
        began = time.perf_counter()
        question = parse_body(self.messages.question, await self._body(request), QUESTION)
        single = isinstance(question, self.messages.One)
        texts = [question.text] if single else question.texts
        for place, text in enumerate(texts):
            if why := unusable_reason(text):
                raise Refusal(422, f"the text {why}", _where(single, place), "send a text that says something")
        caller: Caller = request.scope[CALLER]
        with self.quotas.texts(caller, texts) if self.quotas else nullcontext():
            version, answered = await self._answered(request, texts)
        said = [one for one in answered if one is not None]
        if len(said) < len(answered):
            where = _where(single, answered.index(None))
            raise Refusal(422, OVER_BUDGET, where, "leave it out, or send a part of it: nothing of this request was logged")
        ids = self._keep(version, said, began)
        self.watch.answers.labels(version).inc(len(said))
        self.watch.seconds.observe(time.perf_counter() - began)
        if single:
            return _json({**self._answer(ids[0], said[0]), "version": version})
        answers = [{**self._answer(each, one), "version": version} for each, one in zip(ids, said, strict=True)]
        return _json({"answers": answers, "version": version})

    async def _answered(self, request: Request, texts: list[str]) -> tuple[str, list[Prediction | None]]:
        """The version and its answers, None for a text over its budget; given up in time, and where the caller is gone."""
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                return await while_connected(request, self._ask(texts, request.scope[CALLER]))
        except TimeoutError:
            raise self._late("/predict", "ask again later or with fewer texts") from None
        except ClientDisconnect:
            raise Refusal(499, "the caller has gone", "/predict", "stay until the answer") from None
        except (Busy, NoModel, Failed, InfraError) as error:
            raise self._unanswered(error) from None

    async def _ask(self, texts: list[str], caller: Caller) -> tuple[str, list[Prediction | None]]:
        """Prepared and answered by the version that is current now."""
        model = self.service.champion.current
        if model is None:
            raise NoModel
        ready = await self.preparer.prepare(model.recipe, texts, caller.name)
        if None in ready:  # refused as a whole, so that nothing of it is asked
            return model.version, [None if text is None else Prediction(text, "", None) for text in ready]
        return await self.batcher.answer([text for text in ready if text is not None], model)

    def _answer(self, answer_id: str, said: Prediction) -> dict[str, object]:
        if facts_of(self.service.problem).has_labels:
            return {"id": answer_id, "label": said.prediction, "score": said.score}
        return {"id": answer_id, "text": said.prediction}

    def _keep(self, version: str, said: Sequence[Prediction], began: float) -> list[str]:
        """Give each answer its id, and the log a copy."""
        ids = [new_id() for _ in said]
        if self.service.traffic is not None:
            now, milliseconds = datetime.now(UTC), (time.perf_counter() - began) * 1000
            rate, draws = self.settings.audit_rate, self.draws
            self.service.traffic.answered(
                [
                    Answer(each, now, version, one.text, one.prediction, one.score, milliseconds, *draw_audit(rate, draws))
                    for each, one in zip(ids, said, strict=True)
                ]
            )
        return ids

    async def _body(self, request: Request) -> bytes:
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

    def _late(self, path: str, remedy: str) -> Refusal:
        what = f"no answer within {self.settings.timeout_seconds:g} s"
        return Refusal(504, what, path, f"{remedy}, or raise serving.timeout_seconds", SOON)

    def _unanswered(self, error: Exception) -> Refusal:
        if isinstance(error, Busy):
            return Refusal(503, f"{self.batcher.waiting} texts are waiting already", "/predict", "ask again in a second", SOON)
        if isinstance(error, Failed):
            log.error("the model failed on a request", exc_info=error)
            return Refusal(
                500, "the model failed on these texts", "/predict", "leave the unusual ones out; the service's log says more"
            )
        if isinstance(error, InfraError):
            return _unprepared(error, "/predict")
        why, remedy = _waits_for(self.service.champion.standing)
        return Refusal(503, f"no version answers yet: {why}", "/predict", remedy, SOON)

    # --- what is said of answers ----------------------------------------------------------------------------------------

    async def feedback(self, request: Request) -> Response:
        """Keep a label, a thumb or a correction for an answer, at once or weeks later."""
        caller: Caller = request.scope[CALLER]
        if self.quotas:
            self.quotas.feedback(caller)
        traffic = self._traffic("/feedback")
        said = parse_body(self.messages.feedback, await self._body(request), FEEDBACK)
        if said.source == "audit" and "audit" not in caller.roles:
            raise lacks_role("audit", "body.source")
        if why := unusable_reason(said.value):
            raise Refusal(422, f"the value {why}", "body.value", "send one that says something")
        record = Feedback(new_id(), said.answer_id, datetime.now(UTC), said.kind, said.value, said.source)
        try:
            keep = partial(traffic.feedback, [record])
            await self._in_time(self.hearing, "/feedback", "send it again in a second", keep, keeps=True)
        except InputError:
            raise Refusal(422, OVER_BUDGET, "body.value", "send a part of it: nothing of this request was logged") from None
        except InfraError as error:
            raise _unprepared(error, "/feedback") from None
        return _json({"id": record.id}, 202)

    async def audit(
        self,
        n: Annotated[int, Query(ge=1, le=1000, description="how many at most")] = 20,
        days: Annotated[float, Query(gt=0, le=3650, description="answers of the newest so many days")] = AUDIT_DAYS,
    ) -> Response:
        """Answers drawn at random that nobody has labelled yet; label them by /feedback with source `audit`."""
        self._traffic("/audit")
        audits = partial(self.service.audits, n, datetime.now(UTC) - timedelta(days=days))
        try:
            found = await self._in_time(self.listing, "/audit", "ask again in a second or for fewer `days`", audits)
        except InfraError as error:
            log.warning("%s", error)
            what, remedy = "the log of answers does not answer", "ask again in a minute; answers and feedback are kept meanwhile"
            raise Refusal(503, what, "/audit", remedy, {"Retry-After": "60"}) from error
        return _json({"answers": found})

    async def _in_time(self, behind: ThreadPoolExecutor, path: str, remedy: str, call: Callable[[], T], keeps: bool = False) -> T:
        """What `call` gives in that thread; one that has not begun in time never does.

        One that `keeps` something is waited for once it has begun, so that nobody is told to send again what is kept.
        """
        working = behind.submit(call)
        answer = asyncio.wrap_future(working)
        await asyncio.wait({answer}, timeout=self.settings.timeout_seconds)
        given_up = not answer.done() and (working.cancel() or not keeps)
        if given_up:
            answer.cancel()
            raise self._late(path, remedy)
        return await answer

    def _traffic(self, path: str) -> Log:
        if self.service.traffic is None:
            raise Refusal(409, "this service keeps no log of its traffic", path, "set serving.log to true")
        return self.service.traffic

    # --- how it is ------------------------------------------------------------------------------------------------------

    async def health(self) -> Response:
        """Whether the process lives."""
        return _json({"alive": True, "seconds": round(time.time() - self.began)})

    async def ready(self, request: Request) -> Response:
        """Whether a version answers; and, for whoever may know, which, and what is not as it should be."""
        now = self.service.champion.standing
        caller: Caller | None = request.scope[CALLER]
        if caller is None or "metrics" not in caller.roles:
            return _json({"ready": now.version is not None}, 200 if now.version is not None else 503)
        counts = self.service.traffic.counts if self.service.traffic is not None else None
        said = {
            "ready": now.version is not None,
            "model": self.service.name,
            "version": now.version,
            "since": None if now.since is None else datetime.fromtimestamp(now.since, UTC).isoformat(timespec="seconds"),
            "check": now.check or None,
            "alias_names": now.wanted,
            "loading": now.loading,
            "registry": now.registry or ("read" if now.looked else NOT_LOOKED),
            "refused": now.refused,
            "waiting": self.batcher.waiting,
            "traffic": None if counts is None else {"written": counts.written, "lost": counts.lost, "waiting": counts.waiting},
        }
        return _json(clean_value(said), 200 if now.version is not None else 503)

    async def metrics(self) -> Response:
        """For Prometheus."""
        return Response(self.watch.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _waits_for(now: FollowerState) -> tuple[str, str]:
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


def _unprepared(error: InfraError, path: str) -> Refusal:
    """What a caller is told whose texts could not be prepared, at the second try neither."""
    log.error("texts could not be prepared: %s", error)
    return Refusal(
        503, "the texts cannot be prepared now", path, "send them again in a few seconds: nothing of them was logged", SOON
    )


def _json(value: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), status, media_type="application/json")


def _where(single: bool, place: int) -> str:
    return "body.text" if single else f"body.texts.{place}"


def _behind() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


async def _refused(_: Request, error: Exception) -> Response:
    fault = error if isinstance(error, Refusal) else Refusal(500, str(error), "", "")
    return refusal_response(fault)


async def _unreadable(_: Request, error: Exception) -> Response:
    first: dict[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {"msg": str(error), "loc": ()}
    return refusal_response(Refusal(422, first["msg"], ".".join(str(part) for part in first["loc"]), "see /openapi.json"))


async def _no_such_thing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    said = {404: "there is nothing here", 405: f"{request.method} is not for this path"}.get(status, str(error))
    return refusal_response(Refusal(status, said, request.url.path, "see /openapi.json for what there is", headers))


async def _broken(request: Request, _: Exception) -> Response:
    return refusal_response(Refusal(500, "the service failed", request.url.path, "its log says more: please report it"))
