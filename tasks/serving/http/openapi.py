"""How the service describes itself: FastAPI writes the page, from the types that bodies are read with."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from starlette.responses import Response

from configs.schema import facts_of
from tasks.serving.http.answer_types import DrawnAnswers
from tasks.serving.http.auth import Keys
from tasks.serving.http.messages import Alive, FaultAnswer, FeedbackTaken, Messages, Readiness, Ready
from tasks.serving.http.middleware import OPEN, ROLES
from tasks.serving.http.openai.embeddings import EmbeddingList, EmbeddingRequest
from tasks.serving.http.openai.faults import PREFIX, OpenAIFaultAnswer
from tasks.serving.http.openai.requests import ChatRequest, CompletionRequest
from tasks.serving.http.openai.responses import ChatCompletion, Completion, ModelList
from tasks.serving.http.pair_messages import Ranking, Vector, Vectors
from tasks.serving.http.runtime import Runtime

SPANS = {"text": "Ada wrote to us.", "entities": [{"label": "PERSON", "start": 0, "end": 3}]}
FAULTS = {
    400: "the body is no JSON",
    401: "no valid API key",
    404: "another model was asked for than is here",
    403: "the key has not the role that this needs; or, without API keys, a name that is not this machine's own",
    408: "the body did not come in time",
    409: "this service keeps no log of its traffic",
    413: "the body is too large",
    415: "the body is not application/json, or is packed",
    422: "something else was asked for than is described here",
    429: "more than one key may send: see Retry-After",
    500: "the model failed on these texts, or the service did: its log says more",
    503: "nothing answers yet, too much is waiting, or texts cannot be prepared now: see Retry-After",
    504: "no answer in time: see Retry-After",
}
WRITTEN = ("/v1/completions", "/v1/chat/completions")
REFUSED = {
    "/predict": (400, 408, 413, 415, 422, 500, 503, 504),
    "/feedback": (400, 408, 409, 413, 415, 422, 500, 503, 504),
    "/audit": (409, 422, 500, 503, 504),
    **dict.fromkeys(("/rerank", "/embed"), (400, 408, 413, 415, 422, 500, 503, 504)),
    **dict.fromkeys((*WRITTEN, "/v1/embeddings"), (400, 404, 408, 413, 415, 500, 503, 504)),
}
LIMITED = dict.fromkeys(("/predict", "/feedback", "/rerank", "/embed", "/v1/embeddings", *WRITTEN), (429,))
TAGS = {
    **dict.fromkeys(("/feedback", "/audit"), "feedback"), **dict.fromkeys(("/health", "/ready", "/metrics"), "the service itself"),
}  # fmt: skip
SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}, "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
STREAMED = {  # beside the answer that comes at once
    "description": "the answers; with `stream` the same as server-sent events, the last of them [DONE]",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
HEX = "5f0c1a5ed3a84c1c9a54e1d7c0b1f2a3"


def describe_path(path: str, name: str, runtime: Runtime, keys: Keys, local: bool) -> dict[str, Any]:
    """The arguments of `add_api_route` for a path of the service of that name, beside its method."""
    locked = bool(keys) and path not in OPEN
    refused = _refusal_statuses(path, keys, local)
    security: dict[str, object] = {"security": [{name: []} for name in SCHEMES]} if locked else {}
    return {
        "response_model": None,
        "response_class": Response,  # of no type of its own: a model is JSON, what is not says so
        "status_code": 202 if path == "/feedback" else 200,
        "responses": {**_answer_responses(path, runtime.messages), **_fault_responses(path, *refused, *REFUSED.get(path, ()))},
        "description": _role_sentence(path) if keys else None,
        "tags": [TAGS.get(path, "answers")],
        "openapi_extra": {**_request_body(path, name, runtime), **security},
    }


def _refusal_statuses(path: str, keys: Keys, local: bool) -> tuple[int, ...]:
    """The statuses of callers that are not let in, or not now."""
    if keys:
        return () if path in OPEN else (401, 403, *LIMITED.get(path, ()))
    return (403,) if local or path in ("/audit", "/feedback") else ()


def _role_sentence(path: str) -> str | None:
    """The roles that a key needs for a path, as a sentence."""
    if path == "/ready":
        return "Anybody learns whether a version answers; a key with the role `metrics` the rest."
    role = ROLES.get(path)
    more = "; with source `audit` the role `audit` too" if path == "/feedback" else ""
    return f"Wants a key with the role `{role}`{more}." if role else None


def _answer_responses(path: str, messages: Messages) -> dict[int, dict[str, object]]:
    match path:
        case "/predict":
            return {200: {"model": messages.Answer | messages.Answers}}
        case "/feedback":
            return {202: {"model": FeedbackTaken}}
        case "/audit":
            return {200: {"model": DrawnAnswers}}
        case "/health":
            return {200: {"model": Alive}}
        case "/ready":
            return {
                200: {"model": Readiness | Ready, "description": "a version answers"},
                503: {"model": Readiness | Ready, "description": "none does"},
            }
        case "/v1/completions":
            return {200: {"model": Completion, **STREAMED}}
        case "/v1/chat/completions":
            return {200: {"model": ChatCompletion, **STREAMED}}
        case "/v1/models":
            return {200: {"model": ModelList}}
        case "/rerank":
            return {200: {"model": Ranking}}
        case "/embed":
            return {200: {"model": Vector | Vectors}}
        case "/v1/embeddings":
            return {200: {"model": EmbeddingList}}
        case "/metrics":
            return {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
    return {}


def _fault_responses(path: str, *statuses: int) -> dict[int, dict[str, object]]:
    later = {status: {"headers": RETRY} for status in (429, 503, 504)}
    form, faults = (OpenAIFaultAnswer, {**FAULTS, 400: FAULTS[422]}) if path.startswith(PREFIX) else (FaultAnswer, FAULTS)
    return {status: {"model": form, "description": faults[status], **later.get(status, {})} for status in statuses}


def _request_body(path: str, name: str, runtime: Runtime) -> dict[str, object]:
    messages, pairs = runtime.messages, runtime.pair_messages
    first, second = facts_of(messages.problem).examples
    match path:
        case "/rerank":
            return _describe_body(pairs.rerank, {"documents": {"query": first, "documents": [second, first], "top_n": 1}})
        case "/embed":
            return _describe_body(pairs.embed, {"one": {"text": first}, "many": {"texts": [first, second]}})
        case "/v1/embeddings":
            return _describe_body(TypeAdapter(EmbeddingRequest), {"many": {"model": name, "input": [first, second]}})
        case "/predict":
            return _describe_body(messages.questions.adapter, {**messages.questions.examples})
        case "/feedback":
            return _describe_body(messages.feedback, _feedback_examples(messages))
        case "/v1/completions":
            return _describe_body(TypeAdapter(CompletionRequest), _completion_examples(name, messages))
        case "/v1/chat/completions":
            return _describe_body(TypeAdapter(ChatRequest), _chat_examples(name, messages))
    return {}


def _describe_body(adapter: TypeAdapter[Any], examples: dict[str, object]) -> dict[str, object]:
    """A request body that the handler reads by itself, described by the type it reads it with."""
    schema = adapter.json_schema(ref_template="#/$defs/{model}")
    schema = _without_references(schema, schema.pop("$defs", {}))
    schema.pop("discriminator", None)
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _without_references(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with each reference to a definition in its place; none of them refers to itself."""
    if isinstance(schema, list):
        return [_without_references(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _without_references({**definitions[schema["$ref"].rpartition("/")[2]], **rest}, definitions)
    return {key: _without_references(value, definitions) for key, value in schema.items()}


def _feedback_examples(messages: Messages) -> dict[str, object]:
    facts = facts_of(messages.problem)
    values = {
        "label": "refund_status", "labels": ["billing", "login"], "spans": SPANS, "number": 3.5, "answer": "at nine", "text": "7",
    }  # fmt: skip
    better = {"kind": facts.feedback, "value": values[facts.target], **({"source": "audit"} if facts.feedback == "label" else {})}
    return {"thumb": {"answer_id": HEX, "kind": "thumb", "value": "up"}, "better": {"answer_id": HEX, **better}}


def _completion_examples(name: str, messages: Messages) -> dict[str, object]:
    first, second = facts_of(messages.problem).examples
    common = {"model": name, "max_tokens": 8}
    return {
        "one": {**common, "prompt": first, "temperature": 0},
        "many": {**common, "prompt": [first, second], "n": 2, "temperature": 0.7, "seed": 1, "stop": ["\n\n"]},
        "stream": {**common, "prompt": first, "stream": True, "stream_options": {"include_usage": True}},
    }


def _chat_examples(name: str, messages: Messages) -> dict[str, object]:
    first, _ = facts_of(messages.problem).examples
    chat = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": first}]
    common = {"model": name, "messages": chat, "max_completion_tokens": 8}
    return {"one": {**common, "temperature": 0}, "stream": {**common, "stream": True}}
