"""A request for a completion or a chat, in OpenAI's form; what would change an answer, and is not offered, is refused."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tasks.serving.http.messages import LONGEST_WHERE, Refusal, holds_half_character, repeated_key, shorten_text
from tasks.serving.http.openai.faults import CodedRefusal

MOST_KEYS = 60  # of a body, all that are known and some
MOST_CHOICES, MOST_STOPS, LONGEST_STOP, MOST_MESSAGES = 8, 4, 200, 500
LARGEST_SEED = 2**63 - 1
# Fields that change no answer: read over.
IGNORED = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier", "store"}
)
# Fields that are known and not offered, with the values that ask for nothing; null is one for each.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (),
    "best_of": (1,),
    "suffix": ("",),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "dimensions": (),
}
R = TypeVar("R", bound="StrictRequest")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_prompts(value: object) -> object:
    if isinstance(value, list) and any(isinstance(part, int | list) for part in value):
        raise PydanticCustomError("token_ids", "Token ids are not read here, only texts")
    return _as_list(value)


def _as_content(value: object) -> object:
    """A content that is a list of parts, as one text, its parts on lines of their own."""
    if not isinstance(value, list):
        return value
    texts = [part["text"] for part in value if isinstance(part, dict) and part.get("type") == "text" and "text" in part]
    if len(texts) < len(value) or not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("parts", "Of a content's parts only texts are read")
    return "\n".join(texts)


def _asks_nothing(name: str, value: object) -> bool:
    if value is None or name in IGNORED:
        return True
    return any(value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in NEUTRAL.get(name, ()))


TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
PARTS = {"type": "array", "items": {"type": "object", "properties": {"type": {"const": "text"}, "text": TEXT}}}
Stop = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_STOP)]
EITHER = WithJsonSchema({"anyOf": [TEXT, TEXTS]})
Stops = Annotated[list[Stop], FailFast(), Field(max_length=MOST_STOPS), BeforeValidator(_as_list), EITHER]
Prompts = Annotated[list[str], FailFast(), Field(min_length=1), BeforeValidator(_as_prompts), EITHER]
Content = Annotated[str, BeforeValidator(_as_content), WithJsonSchema({"anyOf": [TEXT, PARTS]})]


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def drop_what_asks_nothing(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        if len(body) > MOST_KEYS:
            raise PydanticCustomError("too_many_keys", "An object of more than {most} keys is not read", {"most": MOST_KEYS})
        known = cls.model_fields
        left_out = {name for name, value in body.items() if value is None and name in known and not known[name].is_required()}
        read_names = {name for name, value in body.items() if name in known or not cls.asks_nothing(name, value)}
        return {name: body[name] for name in read_names - left_out}

    @classmethod
    def asks_nothing(cls, name: str, value: object) -> bool:  # noqa: ARG003  (others look at it)
        """Whether a field that is not read may be read over."""
        return value is None


class StreamOptions(StrictRequest):
    include_usage: bool = Field(False, description="a last event says how many tokens were read and written")


class WritingRequest(StrictRequest):
    """What completions and chats have in common."""

    model: str = Field(description="the model's name, or its name@version")
    max_tokens: int | None = Field(None, ge=1, description="default: evaluation.max_new_tokens of the pipeline")
    temperature: float = Field(1.0, ge=0, le=2, allow_inf_nan=False, description="0: the likeliest tokens, as the gate judged them")
    top_p: float = Field(1.0, ge=0, le=1, allow_inf_nan=False)
    n: int = Field(1, ge=1, le=MOST_CHOICES, description="answers to each prompt")
    stop: Stops = []
    seed: int | None = Field(None, ge=-LARGEST_SEED - 1, le=LARGEST_SEED, description="the same seed gives the same answer")
    stream: bool = False
    stream_options: StreamOptions | None = None

    @classmethod
    def asks_nothing(cls, name: str, value: object) -> bool:
        return _asks_nothing(name, value)

    @property
    def longest_answer(self) -> int | None:
        """The most tokens of an answer, where the request says."""
        return self.max_tokens


class CompletionRequest(WritingRequest):
    """Prompts to go on from, or to answer."""

    prompt: Prompts


class Message(StrictRequest):
    role: Literal["system", "user", "assistant"]
    content: Content

    @classmethod
    def asks_nothing(cls, name: str, value: object) -> bool:  # noqa: ARG003
        return value is None or value == []  # what clients send back of an answer


class ChatRequest(WritingRequest):
    """A chat to be continued by the assistant."""

    messages: Annotated[list[Message], FailFast()] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of max_tokens")

    @property
    def longest_answer(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


def read_request(kind: type[R], body: bytes) -> R:
    """A body as a request; Refusal that names the first fault, and never the texts themselves."""
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        raise _refusal_of(error, body) from None
    if key := repeated_key(body):
        raise Refusal(422, f"`{key}` is there more than once", f"body.{key}", "send it once")
    if isinstance(request, WritingRequest) and request.stream_options is not None and not request.stream:
        raise Refusal(422, "`stream_options` is there without `stream`", "body.stream_options", "leave it out, or stream")
    return request


def _refusal_of(error: ValidationError, body: bytes) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(["body", *(shorten_text(str(part), LONGEST_WHERE) for part in first["loc"])])
    if first["type"] == "json_invalid":
        if holds_half_character(body):
            return Refusal(422, "a text holds half of a surrogate pair, which is no character", "body", "send whole characters")
        reason = first["msg"].removeprefix("Invalid JSON: ")
        return Refusal(400, f"the body is no JSON: {reason}", "body", "send a JSON object as /openapi.json describes it")
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        known = len(first["loc"]) == 1 and name in NEUTRAL
        reason = f"`{shorten_text(name, LONGEST_WHERE)}` is not offered here" if known else "this field is not read here"
        return CodedRefusal(422, reason, where, "leave it out", "unsupported_parameter" if known else "unknown_parameter")
    if first["type"] == "missing":
        return CodedRefusal(422, f"`{first['loc'][-1]}` is not given", where, "send it", "missing_required_parameter")
    return CodedRefusal(422, first["msg"], where, "see /openapi.json for what is read here", "invalid_value")
