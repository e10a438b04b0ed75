"""An answer that is being written: what was asked for, the tokens so far, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from tasks.serving.generation.sampling import Sampling, TokenDrawer
from tasks.serving.generation.text_stream import AnswerText
from tasks.serving.generation.writer import Prompt, Writer

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class AnswerRequest:
    """One answer to write: of `most_tokens` at the most, its end token among them, and up to the first of the stop words."""

    prompt: Prompt
    most_tokens: int
    sampling: Sampling
    stops: tuple[str, ...] = ()


class Draft:
    """An answer on its way. One thread writes it; another may read `text`, and what was read of it first, `reason`, at any time.

    `abandoned`: nobody waits for it any more. `failure`: why it cannot be written.
    """

    def __init__(self, writer: Writer, request: AnswerRequest) -> None:
        self.writer, self.request = writer, request
        self.tokens, self.newest = 0, -1  # how many, and the last of them
        self.reason: FinishReason | None = None
        self.failure: Exception | None = None
        self.abandoned = False
        self._text = AnswerText(writer.target, request.stops)
        self._drawer = TokenDrawer(request.sampling)
        self._processors = writer.processors(request.prompt)
        self._ids = list(writer.first_tokens(request.prompt)) if self._processors else []

    @property
    def text(self) -> str:
        """What a caller may see already; it only ever grows."""
        return self._text.shown

    @property
    def is_done(self) -> bool:
        """Whether no token follows."""
        return self.abandoned or self.reason is not None or self.failure is not None

    def continue_with(self, logits: torch.Tensor, likeliest: int) -> None:
        """Draw the next token of its logits (vocabulary,), whose largest is `likeliest`, and write it."""
        if self._processors:
            ids = torch.tensor([self._ids], device=logits.device)
            logits = self._processors(ids, logits[None].clone())[0]
            likeliest = int(logits.argmax())
        token = likeliest if self._drawer.is_greedy else self._drawer.draw_token(logits)
        if self._processors:
            self._ids.append(token)
        self._write(token)

    def _write(self, token: int) -> None:
        self.tokens, self.newest = self.tokens + 1, token
        if token in self.writer.ends:
            self._text.end()
            self.reason = "stop"
        elif self._text.add(token):
            self.reason = "stop"
        elif self.tokens >= self.request.most_tokens:
            self.reason = "stop" if self._text.end() else "length"
