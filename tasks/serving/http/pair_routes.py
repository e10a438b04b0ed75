"""The paths of models that read two texts: documents in order of their relevance, and vectors of texts, in OpenAI's form too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from tasks.data.text_parts import plain_part
from tasks.serving.batcher import Prediction
from tasks.serving.embedder import unpack_vector
from tasks.serving.http.messages import Refusal, parse_body
from tasks.serving.http.openai.embeddings import EmbeddingRequest
from tasks.serving.http.openai.faults import CodedRefusal
from tasks.serving.http.openai.requests import read_request
from tasks.serving.http.runtime import json_response

if TYPE_CHECKING:
    from tasks.serving.http.answer_routes import AnswerRoutes

RERANK, EMBED, EMBEDDINGS = "/rerank", "/embed", "/v1/embeddings"
RERANK_QUESTION = '{"query": "...", "documents": ["...", ...]} as application/json'
EMBED_QUESTION = '{"text": "..."} or {"texts": ["...", ...]} as application/json'


class PairRoutes:
    """Requests that are answered as /predict answers them, in the forms that their callers expect."""

    def __init__(self, answers: AnswerRoutes) -> None:
        self.answers, self.runtime = answers, answers.runtime

    async def rerank(self, request: Request) -> Response:
        """Order documents by their relevance to a query, the most relevant first."""
        messages = self.runtime.pair_messages
        question = parse_body(messages.rerank, await self.runtime.request_body(request), RERANK_QUESTION, kinds=False)
        self._check_repeated(len(question.query), len(question.documents))
        version, ids, predictions = await self.answers.answer_texts(
            request, messages.pairs_of(question), lambda place, part: "body.query" if part == 0 else f"body.documents.{place}"
        )
        scores = [float(prediction.prediction) for prediction in predictions]
        order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        results = [{"id": ids[place], "index": place, "relevance_score": scores[place]} for place in order[: question.top_n]]
        return json_response({"results": results, "version": version})

    def _check_repeated(self, size: int, documents: int) -> None:
        """Refusal where a query, which is read beside each document, comes to more than a body could hold."""
        most = self.runtime.settings.max_body_bytes
        if size * documents > most:
            reason = (
                f"a query of {size:,} characters is read beside each of {documents:,} documents, which is more than {most:,} in all"
            )
            raise Refusal(422, reason, "body.query", "shorten it, send fewer documents at once, or raise serving.max_body_bytes")

    async def embed(self, request: Request) -> Response:
        """The vectors of one text, or of many, each of length 1. Feedback cannot refer to them, and nothing of them is logged."""
        question = parse_body(self.runtime.pair_messages.embed, await self.runtime.request_body(request), EMBED_QUESTION)
        single = isinstance(question, self.runtime.pair_messages.OneText)
        texts = [question.text] if single else list(question.texts)
        where = "body.text" if single else "body.texts.{}"
        version, vectors = await self._vectors(request, texts, where)
        numbers = [unpack_vector(vector.prediction) for vector in vectors]
        return json_response({**({"vector": numbers[0]} if single else {"vectors": numbers}), "version": version})

    async def embeddings(self, request: Request) -> Response:
        """The same in OpenAI's form."""
        question = read_request(EmbeddingRequest, await self.runtime.request_body(request))
        name, now, most = self.runtime.service.name, self.runtime.service.champion.current, self.runtime.service.max_characters
        if len(question.input) > self.runtime.settings.max_rows:
            reason, remedy = (
                f"{len(question.input):,} texts are too many",
                f"send at most {self.runtime.settings.max_rows:,} at once",
            )
            raise Refusal(422, reason, "body.input", remedy)
        if (long := next((place for place, text in enumerate(question.input) if len(text) > most), None)) is not None:
            raise Refusal(422, f"the text has more than {most:,} characters", f"body.input.{long}", "shorten it, or split it")
        names = [name, *([f"{name}@{now.version}"] if now is not None else [])]
        if question.model not in names:
            remedy = f"ask for {' or '.join(names)}"
            raise CodedRefusal(404, f"there is no model `{question.model}` here", "body.model", remedy, "model_not_found")
        version, vectors = await self._vectors(request, question.input, "body.input.{}")
        packed = question.encoding_format == "base64"
        data = [
            {
                "object": "embedding",
                "index": place,
                "embedding": vector.prediction if packed else unpack_vector(vector.prediction),
            }
            for place, vector in enumerate(vectors)
        ]
        tokens = int(sum(vector.score or 0.0 for vector in vectors))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json_response({"object": "list", "data": data, "model": f"{name}@{version}", "usage": usage})

    async def _vectors(self, request: Request, texts: list[str], where: str) -> tuple[str, list[Prediction]]:
        """The version, and the packed vector of each text; `where` is a text's place in the body, for its number."""
        plain = [plain_part(text) for text in texts]
        version, _, vectors = await self.answers.answer_texts(
            request, plain, lambda place, _: where.format(place), by=lambda model: model.embedder, is_logged=False
        )
        return version, vectors
