"""How texts are answered over HTTP: read, prepared, handed to the batcher, kept in the traffic log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.errors import InfraError
from configs.schema import facts_of
from tasks.data.answers import NO_ANSWER
from tasks.data.label_sets import labels_of
from tasks.data.normalise import unusable_reason
from tasks.data.redaction.redact import OVER_BUDGET
from tasks.data.text_parts import split_parts
from tasks.serving.batcher import ModelFailure, NoModel, Prediction, QueueFull
from tasks.serving.context_answers import context_answer
from tasks.serving.http.auth import Caller
from tasks.serving.http.cancellation import while_connected
from tasks.serving.http.messages import Refusal, parse_body
from tasks.serving.http.middleware import CALLER
from tasks.serving.http.runtime import Runtime, json_response
from tasks.traffic.records import new_id


class AnswerRoutes:
    """The path that answers."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.service, self.settings = runtime, runtime.service, runtime.settings

    async def predict(self, request: Request) -> Response:
        """Answer one text, or many, with the champion."""
        questions = self.runtime.messages.questions
        question = parse_body(questions.adapter, await self.runtime.request_body(request), questions.expected)
        single = isinstance(question, questions.One)
        inputs = questions.inputs_of(question)
        version, ids, predictions = await self.answer_texts(request, inputs, partial(questions.place_of, question))
        if single:
            return json_response({**self._answer_body(ids[0], predictions[0], inputs[0]), "version": version})
        answers = [
            {**self._answer_body(answer_id, prediction, text), "version": version}
            for answer_id, prediction, text in zip(ids, predictions, inputs, strict=True)
        ]
        return json_response({"answers": answers, "version": version})

    async def answer_texts(
        self, request: Request, texts: list[str], where: Callable[[int, int | None], str], *,
        by: Callable[[Any], Any] = lambda model: model, is_logged: bool = True,
    ) -> tuple[str, list[str], list[Prediction]]:  # fmt: skip
        """The version, and for each text the id and the answer by `by` of the champion; `where` is the place of a text, or of one
        of its parts, in the body.

        What was answered is counted, and where `is_logged` kept in the traffic log. Refusal where a text cannot be answered.
        """
        began = time.perf_counter()
        for place, text in enumerate(texts):
            if unusable_reason(text):
                part, reason = next((n, why) for n, each in enumerate(split_parts(text)) if (why := unusable_reason(each)))
                raise Refusal(422, f"the text {reason}", where(place, part), "send a text that says something")
        caller: Caller = request.scope[CALLER]
        path: str = request.scope["path"]
        with self.runtime.quotas.texts(caller, texts, path) if self.runtime.quotas else nullcontext():
            version, results = await self._answer_in_time(request, texts, by)
        predictions = [prediction for prediction in results if prediction is not None]
        if len(predictions) < len(results):
            remedy = "leave it out, or send a part of it: nothing of this request was logged"
            raise Refusal(422, OVER_BUDGET, where(results.index(None), None), remedy)
        ids = [new_id() for _ in predictions]
        if is_logged:
            self.runtime.log_answers(ids, version, predictions, began)
        self.runtime.watch.answers.labels(version).inc(len(predictions))
        self.runtime.watch.seconds.observe(time.perf_counter() - began)
        return version, ids, predictions

    async def _answer_in_time(
        self, request: Request, texts: list[str], by: Callable[[Any], Any]
    ) -> tuple[str, list[Prediction | None]]:
        """The version and its answers, None for a text over its budget; given up in time, and where the caller is gone."""
        path: str = request.scope["path"]
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                return await while_connected(request, self._predict_texts(texts, request.scope[CALLER], by))
        except TimeoutError:
            raise self.runtime.late_refusal(path, "ask again later or with fewer texts") from None
        except ClientDisconnect:
            raise Refusal(499, "the caller has gone", path, "stay until the answer") from None
        except (QueueFull, NoModel, ModelFailure, InfraError) as error:
            raise self.runtime.refusal_for(error, path) from None

    async def _predict_texts(
        self, texts: list[str], caller: Caller, by: Callable[[Any], Any]
    ) -> tuple[str, list[Prediction | None]]:
        """Prepared and answered by the version that is current now."""
        if self.service.champion.current is None:
            raise NoModel
        model = by(self.service.champion.current)
        ready = await self.runtime.preparer.prepare(model.recipe, texts, caller.name)
        if None in ready:  # refused as a whole, so that nothing of it is asked
            return model.version, [None if text is None else Prediction(text, "", None) for text in ready]
        return await self.runtime.batcher.answer([text for text in ready if text is not None], model, caller.name)

    def _answer_body(self, answer_id: str, prediction: Prediction, text: str) -> dict[str, object]:
        facts = facts_of(self.service.problem)
        if facts.finds_answers:
            answer = context_answer(prediction.raw or NO_ANSWER, text, prediction.score)
            return {"id": answer_id, "answer": None if answer is None else answer._asdict()}
        if facts.has_classes:
            return {"id": answer_id, "label": prediction.prediction, "score": prediction.score}
        if facts.has_spans:
            return {"id": answer_id, "entities": json.loads(prediction.raw or "[]")}
        if facts.has_label_sets:
            return {"id": answer_id, "labels": list(labels_of(prediction.prediction)), "score": prediction.score}
        if facts.is_number:
            return {"id": answer_id, "number": float(prediction.prediction)}
        return {"id": answer_id, "text": prediction.prediction}
