"""How texts are answered over HTTP: read, prepared, handed to the batcher, kept in the traffic log."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import nullcontext

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.errors import InfraError
from configs.schema import facts_of
from tasks.data.answers import NO_ANSWER
from tasks.data.label_sets import labels_of
from tasks.data.normalise import unusable_reason
from tasks.data.redaction.redact import OVER_BUDGET
from tasks.serving.batcher import ModelFailure, NoModel, Prediction, QueueFull
from tasks.serving.found_answers import found_answer
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
        began = time.perf_counter()
        questions = self.runtime.messages.questions
        question = parse_body(questions.adapter, await self.runtime.request_body(request), questions.expected)
        single = isinstance(question, questions.One)
        texts = questions.inputs_of(question)
        for place, text in enumerate(texts):
            if reason := unusable_reason(text):
                raise Refusal(422, f"the text {reason}", questions.place_of(question, place), "send a text that says something")
        caller: Caller = request.scope[CALLER]
        with self.runtime.quotas.texts(caller, texts) if self.runtime.quotas else nullcontext():
            version, results = await self._answer_in_time(request, texts)
        predictions = [prediction for prediction in results if prediction is not None]
        if len(predictions) < len(results):
            where = questions.place_of(question, results.index(None))
            raise Refusal(422, OVER_BUDGET, where, "leave it out, or send a part of it: nothing of this request was logged")
        ids = [new_id() for _ in predictions]
        self.runtime.log_answers(ids, version, predictions, began)
        self.runtime.watch.answers.labels(version).inc(len(predictions))
        self.runtime.watch.seconds.observe(time.perf_counter() - began)
        if single:
            return json_response({**self._answer_body(ids[0], predictions[0], texts[0]), "version": version})
        answers = [
            {**self._answer_body(answer_id, prediction, text), "version": version}
            for answer_id, prediction, text in zip(ids, predictions, texts, strict=True)
        ]
        return json_response({"answers": answers, "version": version})

    async def _answer_in_time(self, request: Request, texts: list[str]) -> tuple[str, list[Prediction | None]]:
        """The version and its answers, None for a text over its budget; given up in time, and where the caller is gone."""
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                return await while_connected(request, self._predict_texts(texts, request.scope[CALLER]))
        except TimeoutError:
            raise self.runtime.late_refusal("/predict", "ask again later or with fewer texts") from None
        except ClientDisconnect:
            raise Refusal(499, "the caller has gone", "/predict", "stay until the answer") from None
        except (QueueFull, NoModel, ModelFailure, InfraError) as error:
            raise self.runtime.refusal_for(error, "/predict") from None

    async def _predict_texts(self, texts: list[str], caller: Caller) -> tuple[str, list[Prediction | None]]:
        """Prepared and answered by the version that is current now."""
        model = self.service.champion.current
        if model is None:
            raise NoModel
        ready = await self.runtime.preparer.prepare(model.recipe, texts, caller.name)
        if None in ready:  # refused as a whole, so that nothing of it is asked
            return model.version, [None if text is None else Prediction(text, "", None) for text in ready]
        return await self.runtime.batcher.answer([text for text in ready if text is not None], model)

    def _answer_body(self, answer_id: str, prediction: Prediction, text: str) -> dict[str, object]:
        facts = facts_of(self.service.problem)
        if facts.finds_answers:
            found = found_answer(prediction.raw or NO_ANSWER, text, prediction.score)
            return {"id": answer_id, "answer": None if found is None else found._asdict()}
        if facts.has_classes:
            return {"id": answer_id, "label": prediction.prediction, "score": prediction.score}
        if facts.has_spans:
            return {"id": answer_id, "entities": json.loads(prediction.raw or "[]")}
        if facts.has_label_sets:
            return {"id": answer_id, "labels": list(labels_of(prediction.prediction)), "score": prediction.score}
        if facts.is_number:
            return {"id": answer_id, "number": float(prediction.prediction)}
        return {"id": answer_id, "text": prediction.prediction}
