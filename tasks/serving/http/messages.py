"""The messages over HTTP: one type per question and answer, and one form for every refusal."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)

from configs.schema import ProblemName, facts_of
from tasks.serving.http.answer_types import ANSWERS
from tasks.serving.http.feedback_types import feedback_type
from tasks.serving.http.questions import QUESTIONS, TEXTS, Inputs, Questions

# Characters of a refusal: whatever is repeated of a request is searched for credentials.
LONGEST_WHERE = 200
LONGEST_WHAT = 600  # why a version does not load, which has 500, is given whole


LISTS = {"entities": "spans of a text", "messages": "messages of a conversation", "value": "labels of a text"}  # no setting's


class Fault(BaseModel):
    """Why a request was refused: what is wrong, where, and what to do."""

    what: str
    where: str
    remedy: str


class FaultAnswer(BaseModel):
    error: Fault


class FeedbackTaken(BaseModel):
    """It is kept; the answer it is about is looked up later."""

    id: str


class Alive(BaseModel):
    """For so many seconds."""

    alive: bool
    seconds: int


class LogCounts(BaseModel):
    """Records of the traffic log since the start."""

    written: int
    lost: int
    waiting: int


class Readiness(BaseModel):
    """Which version answers since when, how it was checked, and what is not as it should be; `traffic` is null without a log."""

    ready: bool
    model: str
    version: str | None
    since: datetime | None
    check: str | None
    alias_names: str | None = Field(description="the version that the alias named last")
    loading: bool
    registry: str = Field(description="`read`, `not looked at yet`, or why the alias cannot be read now")
    refused: str | None = Field(description="why that version is not the one that answers")
    waiting: int = Field(description="texts")
    traffic: LogCounts | None


class Ready(BaseModel):
    """Whether a version answers: all that is said to callers whose key has not the role `metrics`."""

    ready: bool


def shorten_text(text: str, most: int) -> str:
    """The text, or where it is longer its first `most` characters and an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"


class Refusal(Exception):  # noqa: N818
    """A request that is not answered: status, what is wrong, where, what to do.

    Of `reason` and `where`, which may hold parts of the request, only the beginnings are kept.
    """

    def __init__(self, status: int, reason: str, where: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        fault = {"what": shorten_text(reason, LONGEST_WHAT), "where": shorten_text(where, LONGEST_WHERE), "remedy": remedy}
        super().__init__(fault["what"])
        self.status, self.fault, self.headers = status, fault, headers or {}


class Messages:
    """The types of one service: its questions, its answers, and feedback of the kinds that fit the problem."""

    def __init__(self, problem: ProblemName, max_rows: int, max_characters: int, inputs: Inputs = "text") -> None:
        self.problem, facts = problem, facts_of(problem)
        fields = QUESTIONS if facts.finds_answers else TEXTS
        self.questions = Questions(inputs, fields, facts.examples, max_rows, max_characters)
        self.Answer: type[BaseModel] = ANSWERS[facts_of(problem).target]
        self.Answers = create_model("Answers", answers=(list[self.Answer], ...), version=(str, ...))  # type: ignore[name-defined]
        self.feedback: TypeAdapter[Any] = TypeAdapter(feedback_type(problem, max_characters))


def parse_body(adapter: TypeAdapter[Any], body: bytes, expected: str, *, kinds: bool = True) -> Any:
    """A body as its type, which is one of several `kinds`; raises Refusal naming the first faults, never the texts themselves."""
    try:
        body_value = adapter.validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    else:
        if key := repeated_key(body):
            raise Refusal(422, f"`{key}` is there more than once", f"body.{key}", f"send {expected}")
        return body_value
    if faults[0]["type"] == "json_invalid" and holds_half_character(body):
        raise Refusal(422, "a text holds half of a surrogate pair, which is no character", "body", f"send {expected}")
    if faults[0]["type"] == "json_invalid":
        raise Refusal(400, f"the body is no JSON: {faults[0]['msg'].removeprefix('Invalid JSON: ')}", "body", f"send {expected}")
    if faults[0]["type"] == "union_tag_invalid":
        raise Refusal(422, f"`kind` is none of {faults[0]['ctx']['expected_tags']}", "body.kind", f"send {expected}")
    if faults[0]["type"] in ("union_tag_not_found", "model_attributes_type", "dict_type"):
        raise Refusal(422, "the body has not the keys that are read here", "body", f"send {expected}")
    first, more = faults[0], len(faults) - 1
    where = ".".join(["body", *(shorten_text(str(part), LONGEST_WHERE) for part in first["loc"][int(kinds) :])])
    raise Refusal(422, first["msg"] + (f" (and {more} more)" if more else ""), where, _remedy_of(first) or f"send {expected}")


def _remedy_of(fault: Any) -> str | None:
    """What to send instead of what is well formed and too large; a label has its own bound, that no setting moves."""
    most = fault.get("ctx", {}).get("max_length")
    many = next((what for name, what in LISTS.items() if name in fault["loc"]), None)
    if fault["type"] == "too_long" and many is not None:
        return f"send at most {most:,} {many}"
    if fault["type"] == "too_long":
        return f"send at most {most:,} texts at once, or raise serving.max_rows"
    if fault["type"] == "string_too_long" and fault["loc"][0] == "label":
        return f"send a label of at most {most:,} characters"
    if fault["type"] == "string_too_long":
        return f"send texts of at most {most:,} characters each, which is data.max_characters: shorten this one, or split it"
    return None


def repeated_key(body: bytes) -> str | None:
    """A key that stands more than once in a body, which was read before: that is flat, and readers disagree which of two holds."""
    faults: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        faults.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    json.loads(body, object_pairs_hook=look)
    return faults[0] if faults else None


def holds_half_character(body: bytes) -> bool:
    """Whether a body that is no JSON to Unicode is JSON otherwise: its grammar lets half a character stand, as `\\ud800`."""
    if b"\\ud" not in body.lower():
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
