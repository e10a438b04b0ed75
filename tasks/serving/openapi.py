"""How the service describes itself: FastAPI writes the page, from the types that bodies are read with."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from tasks.serving.messages import EXAMPLES, FaultAnswer, FeedbackTaken, Messages

FAULTS = {
    400: "the body is no JSON",
    401: "no valid API key",
    408: "the body did not come in time",
    413: "the body is too large",
    415: "the body is not application/json",
    422: "the body holds something else than was asked for",
    503: "nothing answers yet, or too much is waiting: see Retry-After",
    504: "no answer in time",
}
HEX = "5f0c1a5ed3a84c1c9a54e1d7c0b1f2a3"


def describe(path: str, messages: Messages) -> dict[str, Any]:
    """What `add_api_route` is told of a path beside its method."""
    if path == "/predict":
        return {
            "response_model": None,
            "responses": {200: {"model": messages.Answer | messages.Answers}, **_faults(*FAULTS)},
            "openapi_extra": _body(messages.question, _questions(messages)),
        }
    if path == "/feedback":
        return {
            "response_model": None,
            "status_code": 202,
            "responses": {202: {"model": FeedbackTaken}, **_faults(400, 401, 408, 413, 415, 422)},
            "openapi_extra": _body(messages.feedback, _sayings(messages)),
        }
    return {"response_model": None}


def _faults(*statuses: int) -> dict[int, dict[str, Any]]:
    return {status: {"model": FaultAnswer, "description": FAULTS[status]} for status in statuses}


def _body(adapter: TypeAdapter[Any], examples: dict[str, Any]) -> dict[str, Any]:
    """A request body that the handler reads by itself, described by the type it reads it with."""
    schema = adapter.json_schema(ref_template="#/$defs/{model}")
    defined = schema.pop("$defs", {})
    for key in ("oneOf", "anyOf"):
        if key in schema:
            schema[key] = [defined[each["$ref"].rpartition("/")[2]] for each in schema[key]]
    schema.pop("discriminator", None)
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _questions(messages: Messages) -> dict[str, Any]:
    one, two = EXAMPLES[messages.problem]
    return {"one": {"text": one}, "many": {"texts": [one, two]}}


def _sayings(messages: Messages) -> dict[str, Any]:
    label = {"kind": "label", "value": "refund_status", "source": "audit"}
    better = label if messages.problem == "text-classification" else {"kind": "correction", "value": "7"}
    return {"thumb": {"answer_id": HEX, "kind": "thumb", "value": "up"}, "better": {"answer_id": HEX, **better}}
