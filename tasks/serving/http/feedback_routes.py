"""Feedback on answers, and the answers that wait to be labelled, over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from configs.errors import InfraError, InputError
from configs.schema import facts_of
from tasks.data.alignment import Alignment
from tasks.data.answers import write_right_answer
from tasks.data.label_sets import write_label_set
from tasks.data.labels import canonical_label
from tasks.data.normalise import unusable_reason
from tasks.data.numbers import format_number
from tasks.data.redaction.redact import OVER_BUDGET
from tasks.data.spans import UnusableSpans, check_spans, move_spans, write_correction
from tasks.data.text_parts import plain_part
from tasks.serving.batcher import NoModel, QueueFull
from tasks.serving.http.auth import Caller
from tasks.serving.http.messages import Refusal, parse_body
from tasks.serving.http.middleware import CALLER, lacks_role
from tasks.serving.http.runtime import Runtime, TrafficLog, json_response, unprepared
from tasks.serving.text_preparation import PreparedTexts
from tasks.traffic.records import Feedback, new_id

log = logging.getLogger(__name__)
FEEDBACK = '{"answer_id": "...", "kind": "...", "value": "..."} as /openapi.json describes it'
AUDIT_DAYS = 7.0  # as far as the monitors look back, unless a request says otherwise
AUDIT_KEYS = ("n", "days")
T = TypeVar("T")


class FeedbackRoutes:
    """The paths of feedback and audits."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.service, self.settings = runtime, runtime.service, runtime.settings

    async def feedback(self, request: Request) -> Response:
        """Keep a label, a thumb or a correction for an answer, at once or weeks later."""
        caller: Caller = request.scope[CALLER]
        if self.runtime.quotas:
            self.runtime.quotas.feedback(caller)
        traffic = self._require_traffic("/feedback")
        feedback = parse_body(self.runtime.messages.feedback, await self.runtime.request_body(request), FEEDBACK)
        if feedback.source == "audit" and "audit" not in caller.roles:
            raise lacks_role("audit", "body.source")
        value = await self._kept(feedback, caller)
        if reason := unusable_reason(value):
            raise Refusal(422, f"the value {reason}", "body.value", "send one that says something")
        record = Feedback(new_id(), feedback.answer_id, datetime.now(UTC), feedback.kind, value, feedback.source)
        try:
            keep = partial(traffic.feedback, [record])
            await self._run_in_time(self.runtime.hearing, "/feedback", "send it again in a second", keep, keeps=True)
        except InputError:
            raise Refusal(422, OVER_BUDGET, "body.value", "send a part of it: nothing of this request was logged") from None
        except InfraError as error:
            raise unprepared(error, "/feedback") from None
        return json_response({"id": record.id}, 202)

    async def _kept(self, feedback: Any, caller: Caller) -> str:
        """The value of a piece of feedback as the log keeps it."""
        facts = facts_of(self.service.problem)
        if feedback.kind == "thumb" or not (facts.has_spans or facts.finds_answers):
            return _kept_value(feedback.value)
        return await self._kept_spans(feedback.value, caller) if facts.has_spans else _kept_answer(feedback.value)

    async def _kept_spans(self, value: Any, caller: Caller) -> str:
        """Corrected spans as the log keeps them: in the text as it was prepared to be answered, which is not kept once more."""
        model = self.service.champion.current
        if model is None:
            raise self.runtime.refusal_for(NoModel(), "/feedback")
        text, where = plain_part(value.text), "body.value.entities"
        try:
            spans = check_spans([(each.start, each.end, _label_of(each.label, where)) for each in value.entities], text)
            async with asyncio.timeout(self.settings.timeout_seconds):
                (prepared,) = await self.runtime.preparer.prepare(model.recipe, [text], caller.name, at_once=-1)
            if prepared is None:
                raise Refusal(422, OVER_BUDGET, "body.value.text", "send the text that was answered")
            alignment = prepared.alignment if isinstance(prepared, PreparedTexts) else Alignment()
            return write_correction(move_spans(spans, alignment, prepared), prepared)
        except UnusableSpans as error:
            raise Refusal(422, f"it {error}", where, "send spans of the text beside them, none of which overlap") from None
        except TimeoutError:
            raise self.runtime.late_refusal("/feedback", "send it again in a second") from None
        except (QueueFull, InfraError) as error:
            raise self.runtime.refusal_for(error, "/feedback") from None

    async def audit(
        self,
        request: Request,
        n: Annotated[int, Query(ge=1, le=1000, description="how many at most")] = 20,
        days: Annotated[float, Query(gt=0, le=3650, description="answers of the newest so many days")] = AUDIT_DAYS,
    ) -> Response:
        """Answers drawn at random that nobody has labelled yet; label them by /feedback with source `audit`."""
        _refuse_odd_keys(request)
        self._require_traffic("/audit")
        audits = partial(self.service.audits, n, datetime.now(UTC) - timedelta(days=days))
        try:
            answers = await self._run_in_time(self.runtime.listing, "/audit", "ask again in a second or for fewer `days`", audits)
        except InfraError as error:
            log.warning("%s", error)
            fault, remedy = "the log of answers does not answer", "ask again in a minute; answers and feedback are kept meanwhile"
            raise Refusal(503, fault, "/audit", remedy, {"Retry-After": "60"}) from error
        return json_response({"answers": answers})

    async def _run_in_time(
        self, behind: ThreadPoolExecutor, path: str, remedy: str, call: Callable[[], T], keeps: bool = False
    ) -> T:
        """What `call` gives in that thread; one that has not begun in time never does.

        One that `keeps` something is waited for once it has begun, so that no caller is asked to send again what is kept.
        """
        working = behind.submit(call)
        answer = asyncio.wrap_future(working)
        await asyncio.wait({answer}, timeout=self.settings.timeout_seconds)
        given_up = not answer.done() and (working.cancel() or not keeps)
        if given_up:
            answer.cancel()
            raise self.runtime.late_refusal(path, remedy)
        return await answer

    def _require_traffic(self, path: str) -> TrafficLog:
        if self.service.traffic is None:
            raise Refusal(409, "this service keeps no log of its traffic", path, "set serving.log to true")
        return self.service.traffic


def _kept_value(value: str | float | list[str]) -> str:
    """A value as the log keeps it: texts as they are, numbers and sets of labels in their one spelling."""
    match value:
        case float():
            return format_number(value)
        case list():
            return write_label_set(_label_of(each, "body.value") for each in value)
    return plain_part(value)


def _kept_answer(value: Any) -> str:
    """An answer that stands in a context, as the log keeps it."""
    text, start = (value, None) if value is None or isinstance(value, str) else (value.text, value.start)
    if text is not None and (reason := unusable_reason(text)):
        raise Refusal(422, f"the answer {reason}", "body.value", "send words of the context, or null where there is no answer")
    return write_right_answer(text, start)


def _label_of(written: str, where: str) -> str:
    """A label in its one spelling; Refusal where it shows nothing."""
    label = canonical_label(written)
    if label is None or unusable_reason(label):
        raise Refusal(422, "a label is empty", where, "name it, or leave it out")
    return label


def _refuse_odd_keys(request: Request) -> None:
    """Refusal for a key of the query that is not read, or is there more than once, whose other values would be ignored."""
    for key, count in Counter(key for key, _ in request.query_params.multi_items()).items():
        if key not in AUDIT_KEYS:
            raise Refusal(422, f"`{key}` is not read here", f"query.{key}", f"ask with {' and '.join(AUDIT_KEYS)} alone")
        if count > 1:
            raise Refusal(422, f"`{key}` is there {count} times", f"query.{key}", "give it once")
