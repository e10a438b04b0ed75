"""One request's way to what the engine writes: its texts are checked, prepared and tokenized, and its answers are asked for."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from configs.errors import InputError
from tasks.data.normalise import unusable_reason
from tasks.data.redaction.redact import OVER_BUDGET
from tasks.data.text_parts import plain_part
from tasks.serving.generation.draft import AnswerRequest
from tasks.serving.generation.sampling import Sampling
from tasks.serving.generation.writer import Prompt, Writer
from tasks.serving.http.auth import Caller
from tasks.serving.http.messages import Refusal
from tasks.serving.http.middleware import CALLER
from tasks.serving.http.openai.faults import CodedRefusal
from tasks.serving.http.openai.paths import CHATS, COMPLETIONS
from tasks.serving.http.openai.requests import ChatRequest, CompletionRequest

if TYPE_CHECKING:
    from tasks.serving.http.runtime import Runtime
    from tasks.serving.predictor import ReadyModel

STEP = 0x9E3779B97F4A7C15  # between the seeds of answers to one prompt; odd, so that none comes twice in 2^64


@dataclass(frozen=True)
class Work:
    """A request that was read, and the version that answers it."""

    request: Request
    asked: CompletionRequest | ChatRequest
    model: ReadyModel
    writer: Writer
    began: float = field(default_factory=time.perf_counter)

    @property
    def path(self) -> str:
        return CHATS if isinstance(self.asked, ChatRequest) else COMPLETIONS

    @property
    def caller(self) -> Caller:
        caller: Caller = self.request.scope[CALLER]
        return caller

    @property
    def texts(self) -> list[str]:
        """Its texts, each to be prepared on its own."""
        if isinstance(self.asked, ChatRequest):
            return [plain_part(message.content) for message in self.asked.messages]
        return [plain_part(prompt) for prompt in self.asked.prompt]

    @property
    def prompts(self) -> list[str]:
        """What is answered: a chat is one text."""
        return ["".join(self.texts)] if isinstance(self.asked, ChatRequest) else self.texts

    def place_of(self, text: int) -> str:
        """Where in the body one of its texts stands."""
        if isinstance(self.asked, ChatRequest):
            return f"body.messages.{text}.content"
        return "body.prompt" if len(self.texts) == 1 else f"body.prompt.{text}"

    def read(self, ready: Sequence[str]) -> list[Prompt]:
        """Its prepared texts as the network reads them."""
        if isinstance(self.asked, CompletionRequest):
            return [self.writer.read_prompt(text) for text in ready]
        messages = [{"role": message.role, "content": text} for message, text in zip(self.asked.messages, ready, strict=True)]
        return [self.writer.read_messages(messages)]


def check_work(work: Work, max_rows: int, max_characters: int) -> None:
    """Refusal where a request asks for too much, or says nothing."""
    asked, texts = work.asked, work.texts
    answers = len(work.prompts) * asked.n
    if answers > max_rows:
        reason, where = f"it asks for {answers:,} answers at once", "body.n" if len(work.prompts) == 1 else "body.prompt"
        raise CodedRefusal(422, reason, where, f"ask for at most {max_rows:,}, or raise serving.max_rows", "invalid_value")
    if isinstance(asked, ChatRequest) and not work.writer.reads_messages:
        reason = "the model's tokenizer has no chat template, so it reads no messages"
        raise CodedRefusal(422, reason, "body.messages", f"send one text to {COMPLETIONS} instead", "no_chat_template")
    for place, text in enumerate(texts):
        if reason_against := unusable_reason(text):
            raise Refusal(422, f"the text {reason_against}", work.place_of(place), "send a text that says something")
    longest = max(work.prompts, key=len)
    if len(longest) > max_characters:
        reason = f"a text of {len(longest):,} characters is longer than {max_characters:,}, which is data.max_characters"
        where = "body.messages" if isinstance(asked, ChatRequest) else work.place_of(texts.index(longest))
        raise CodedRefusal(422, reason, where, "shorten it", "string_above_max_length")


async def read_prompts(work: Work, runtime: Runtime) -> list[Prompt]:
    """The request's texts prepared, as /predict prepares them, and as the network reads them."""
    ready = await runtime.preparer.prepare(work.model.recipe, work.texts, work.caller.name, at_once=0)
    if None in ready:
        raise Refusal(422, OVER_BUDGET, work.place_of(ready.index(None)), "leave it out, or send a part of it")
    texts = [text for text in ready if text is not None]
    try:
        return await asyncio.get_running_loop().run_in_executor(runtime.reading, work.read, texts)
    except InputError as error:
        raise Refusal(422, str(error), "body.messages", "or write the whole prompt, and send it to /v1/completions") from None


def answer_requests_of(work: Work, prompts: Sequence[Prompt]) -> list[AnswerRequest]:
    """One for each answer; those to one prompt stand behind one another."""
    asked = work.asked
    most = work.writer.answer_tokens if asked.longest_answer is None else asked.longest_answer
    for place, prompt in enumerate(prompts):
        if not prompt.tokens or most > work.writer.room_for(prompt):
            raise _too_long(work, place, len(prompt.tokens), most)
    return [
        AnswerRequest(prompt, most, Sampling(asked.temperature, asked.top_p, _seed_of(asked.seed, choice)), tuple(asked.stop))
        for prompt in prompts
        for choice in range(asked.n)
    ]


def _seed_of(seed: int | None, choice: int) -> int:
    return secrets.randbits(64) if seed is None else (seed + choice * STEP) % 2**64


def _too_long(work: Work, place: int, tokens: int, most: int) -> Refusal:
    where = "body.messages" if isinstance(work.asked, ChatRequest) else work.place_of(place)
    if not tokens:
        return Refusal(422, "the model reads no token of this text", where, "send a text of a language that it knows")
    room = work.writer.most_tokens
    apart = "together at most" if work.writer.continues_text else "each at most"
    reason = (
        f"the prompt has {tokens:,} tokens and its answer may have {most:,}: {apart} {room:,} are what the model reads and writes"
    )
    return CodedRefusal(422, reason, where, "shorten it, or ask for fewer max_tokens", "context_length_exceeded")
