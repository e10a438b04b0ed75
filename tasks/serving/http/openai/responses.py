"""Completions and chats as answers, and as the events of a stream, in OpenAI's form."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from tasks.serving.generation.draft import Draft

DONE = b"data: [DONE]\n\n"


class Usage(BaseModel):
    """Tokens that were read, each prompt once, and written, end tokens among them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerChoice(BaseModel):
    """One answer. `id` is what feedback on it refers to."""

    id: str
    index: int
    finish_reason: Literal["stop", "length"]
    logprobs: None


class CompletionChoice(AnswerChoice):
    text: str = Field(description="without spaces at either end, as /predict gives it")


class AnswerMessage(BaseModel):
    role: Literal["assistant"]
    content: str


class ChatChoice(AnswerChoice):
    message: AnswerMessage


class _Written(BaseModel):
    id: str = Field(description="what feedback on the first choice refers to")
    created: int
    model: str
    system_fingerprint: str = Field(description="the version that answered")
    usage: Usage


class Completion(_Written):
    """Answers to prompts, those to one prompt behind one another."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]


class ChatCompletion(_Written):
    """The assistant's next message."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class ModelEntry(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The names that requests may give: of the model, and of the version that answers."""

    object: Literal["list"]
    data: list[ModelEntry]


@dataclass(frozen=True)
class Frame:
    """What all answers and events of one request have in common; `ids` are those of its answers."""

    name: str
    version: str
    chat: bool
    ids: tuple[str, ...]
    created: int = field(default_factory=lambda: int(time.time()))

    def answer(self, drafts: Sequence[Draft], prompts: int) -> dict[str, object]:
        """All at once."""
        choices = [
            {
                **self._choice(index, draft.reason),
                **({"message": {"role": "assistant", "content": draft.text}} if self.chat else {"text": draft.text}),
            }
            for index, draft in enumerate(drafts)
        ]
        return {**self._head("chat.completion" if self.chat else "text_completion", choices), "usage": usage_of(drafts, prompts)}

    def begin_event(self, index: int) -> dict[str, object]:
        """The first event of a chat's answer, which says who speaks."""
        return self._event([{**self._choice(index, None), "delta": {"role": "assistant", "content": ""}}])

    def text_event(self, index: int, text: str) -> dict[str, object]:
        """An event with what an answer grew by."""
        return self._event([{**self._choice(index, None), **({"delta": {"content": text}} if self.chat else {"text": text})}])

    def end_event(self, index: int, reason: str | None) -> dict[str, object]:
        """The event that ends an answer."""
        return self._event([{**self._choice(index, reason), **({"delta": {}} if self.chat else {"text": ""})}])

    def usage_event(self, drafts: Sequence[Draft], prompts: int) -> dict[str, object]:
        """The event that counts tokens."""
        return {**self._event([]), "usage": usage_of(drafts, prompts)}

    def _choice(self, index: int, reason: str | None) -> dict[str, object]:
        return {"id": self.ids[index], "index": index, "finish_reason": reason, "logprobs": None}

    def _event(self, choices: list[dict[str, Any]]) -> dict[str, object]:
        return self._head("chat.completion.chunk" if self.chat else "text_completion", choices)

    def _head(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, object]:
        return {
            "id": self.ids[0],
            "object": kind,
            "created": self.created,
            "model": f"{self.name}@{self.version}",
            "system_fingerprint": self.version,
            "choices": choices,
        }


class AnswerEvents:
    """The events of one answer that is being written; `on_end` is called once it is whole, before its last event is given."""

    def __init__(self, frame: Frame, index: int, draft: Draft, on_end: Callable[[int, Draft], None]) -> None:
        self._frame, self._index, self._draft, self._on_end = frame, index, draft, on_end
        self._begun, self._sent, self.is_over = not frame.chat, 0, False

    def take_new(self) -> list[bytes]:
        """The events since the last call."""
        frame, index, draft = self._frame, self._index, self._draft
        if self.is_over or not draft.tokens:
            return []
        reason, text = draft.reason, draft.text  # in this order: with a reason the text is whole
        events = [] if self._begun else [frame.begin_event(index)]
        if len(text) > self._sent:
            events.append(frame.text_event(index, text[self._sent :]))
        self._begun, self._sent = True, len(text)
        if reason is not None:
            self.is_over = True
            self._on_end(index, draft)
            events.append(frame.end_event(index, reason))
        return [encode_event(event) for event in events]


def usage_of(drafts: Sequence[Draft], prompts: int) -> dict[str, int]:
    """The tokens of the answers to so many prompts; answers to one stand behind one another."""
    answers = len(drafts) // prompts
    read = sum(len(draft.request.prompt.tokens) for draft in drafts[::answers])
    completion_tokens = sum(draft.tokens for draft in drafts)
    return {"prompt_tokens": read, "completion_tokens": completion_tokens, "total_tokens": read + completion_tokens}


def encode_event(value: dict[str, object]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"
