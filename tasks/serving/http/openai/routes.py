"""Completions and chats: read, prepared, handed to the engine, sent at once or as they are written, kept in the traffic log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.errors import InfraError
from tasks.serving.batcher import ModelFailure, NoModel, Prediction, QueueFull
from tasks.serving.generation.draft import Draft
from tasks.serving.generation.engine import RequestAnswers
from tasks.serving.http.cancellation import while_connected
from tasks.serving.http.messages import Refusal
from tasks.serving.http.openai.event_stream import EventStream
from tasks.serving.http.openai.faults import CodedRefusal
from tasks.serving.http.openai.paths import CHATS, COMPLETIONS
from tasks.serving.http.openai.requests import ChatRequest, CompletionRequest, read_request
from tasks.serving.http.openai.responses import DONE, AnswerEvents, Frame, encode_event
from tasks.serving.http.openai.work import Work, answer_requests_of, check_work, read_prompts
from tasks.serving.http.runtime import Runtime, json_response
from tasks.traffic.records import Origin, new_id

if TYPE_CHECKING:
    from tasks.serving.predictor import ReadyModel

FAULTS = (TimeoutError, QueueFull, NoModel, ModelFailure, InfraError)


class CompletionRoutes:
    """How requests that ask for texts are answered."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.service, self.settings = runtime, runtime.service, runtime.settings

    async def completions(self, request: Request) -> Response:
        """Go on from one prompt, or from several."""
        return await self._respond(request, read_request(CompletionRequest, await self.runtime.request_body(request)))

    async def chats(self, request: Request) -> Response:
        """Write the next message of a chat."""
        return await self._respond(request, read_request(ChatRequest, await self.runtime.request_body(request)))

    async def _respond(self, request: Request, asked: CompletionRequest | ChatRequest) -> Response:
        work = self._begin_work(request, asked)
        check_work(work, self.settings.max_rows, self.service.max_characters)
        if asked.stream:
            return EventStream(request, self._write_events(work))
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                return json_response(await while_connected(request, self._write_answer(work)))
        except ClientDisconnect:
            raise Refusal(499, "the caller has gone", work.path, "stay until the answer") from None
        except FAULTS as error:
            raise self._refusal_for(error, work.path) from None

    def _begin_work(self, request: Request, asked: CompletionRequest | ChatRequest) -> Work:
        """The request with the version that answers now, if that is what it names."""
        path, name = CHATS if isinstance(asked, ChatRequest) else COMPLETIONS, self.service.name
        model: ReadyModel | None = self.service.champion.current
        if model is None:
            raise self.runtime.refusal_for(NoModel(), path)
        names = [name, f"{name}@{model.version}"]
        if asked.model not in names:
            remedy = f"ask for {' or '.join(names)}"
            raise CodedRefusal(404, f"there is no model `{asked.model}` here", "body.model", remedy, "model_not_found")
        if model.writer is None:
            reason = "the layers of this model's network remember otherwise than by keys and values, and cannot be batched here"
            raise CodedRefusal(422, reason, "body.model", "ask /predict", "unsupported_model")
        return Work(request, asked, model, model.writer)

    async def _write_answer(self, work: Work) -> dict[str, object]:
        """All answers of a request, once they are written."""
        async with self._writing(work) as (frame, writing):
            await writing.wait_until_done()
            for index, draft in enumerate(writing.drafts):
                self._log(work, frame, index, draft)
            return frame.answer(writing.drafts, len(work.prompts))

    async def _write_events(self, work: Work) -> AsyncGenerator[bytes, None]:
        """The events of answers that are sent as they are written. An answer is logged once it is whole, or not at all."""
        try:
            async with self._writing(work) as (frame, writing):

                def log_whole(index: int, draft: Draft) -> None:
                    self._log(work, frame, index, draft)

                answers = [AnswerEvents(frame, index, draft, log_whole) for index, draft in enumerate(writing.drafts)]
                while not all(answer.is_over for answer in answers):
                    async with asyncio.timeout(self.settings.timeout_seconds):
                        await writing.wait_for_change()
                    if events := b"".join(event for answer in answers for event in answer.take_new()):
                        yield events  # at once: a caller who has gone is written to no more than that
                if work.asked.stream_options is not None and work.asked.stream_options.include_usage:
                    yield encode_event(frame.usage_event(writing.drafts, len(work.prompts)))
                yield DONE
        except FAULTS as error:
            raise self._refusal_for(error, work.path) from None

    @asynccontextmanager
    async def _writing(self, work: Work) -> AsyncIterator[tuple[Frame, RequestAnswers]]:
        """The answers of a request on their way; they count as its caller's until the block ends."""
        asked, quotas = work.asked, self.runtime.quotas
        with quotas.texts(work.caller, work.prompts * asked.n, work.path) if quotas else nullcontext():
            async with asyncio.timeout(self.settings.timeout_seconds):
                requests = answer_requests_of(work, await read_prompts(work, self.runtime))
            ids = tuple(new_id() for _ in requests)
            frame = Frame(self.service.name, work.writer.version, isinstance(asked, ChatRequest), ids)
            async with self.runtime.engine.write(work.writer, requests, asked.stream, work.caller.name) as writing:
                yield frame, writing

    def _log(self, work: Work, frame: Frame, index: int, draft: Draft) -> None:
        """Count an answer that is whole, and give the traffic log its copy."""
        prediction = Prediction(draft.request.prompt.text, draft.text, None)
        origin: Origin = "predict" if index % work.asked.n == 0 else "choice"
        self.runtime.log_answers([frame.ids[index]], frame.version, [prediction], work.began, origin)
        self.runtime.watch.answers.labels(frame.version).inc()
        self.runtime.watch.tokens.labels(frame.version).inc(draft.tokens)

    def _refusal_for(self, error: Exception, path: str) -> Refusal:
        if isinstance(error, TimeoutError):
            return self.runtime.late_refusal(path, "ask again later or for fewer max_tokens")
        return self.runtime.refusal_for(error, path)
