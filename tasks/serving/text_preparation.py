"""Texts are normalised and redacted: short ones where they are answered, long ones in another process.

To search 100 kB for personal data takes up to half a second of Python, and the answering thread, which wants the interpreter at
every step of a model, would wait for it each time. So what is long is prepared elsewhere, a piece at a time, callers by turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from configs.errors import InfraError
from tasks.data.alignment import Alignment
from tasks.data.normalise import normalise_text
from tasks.data.redaction.aligned_texts import AlignedText, prepare_aligned
from tasks.data.redaction.redact import Redactor
from tasks.serving.batcher import QueueFull
from tasks.serving.fair_queue import FairLock

AT_ONCE = 1_000  # characters of a request that are prepared where they are answered: at most 5 ms
PIECE = 20_000  # characters that a request has prepared before it is another's turn
MOST_WAITING = 20_000_000  # characters
Submit = Callable[..., Future[Any]]


class PreparedTexts(str):
    """A text that is prepared already, with where it lies in the text that was sent, where its recipe asks for places."""

    alignment: Alignment = Alignment()


@dataclass(frozen=True)
class Recipe:
    """How texts are prepared, as plain values that can be sent to another process.

    `entities` None: they are not redacted. `places`: it is kept where each character comes from.
    """

    layout: bool
    entities: tuple[str, ...] | None
    key: bytes = field(default=b"", repr=False)
    ner_model: str | None = None
    places: bool = False


def prepare_texts(recipe: Recipe, texts: Sequence[str]) -> list[str | None]:
    """The texts normalised and redacted; None for one over the budget of its search."""
    return prepare_with(_redactor_of(recipe), texts, layout=recipe.layout, places=recipe.places)


def prepare_with(redactor: Redactor | None, texts: Sequence[str], *, layout: bool, places: bool) -> list[str | None]:
    """As `prepare_texts`, by a redactor; with `places` as `PreparedTexts`."""
    if places:
        return [_with_places(each) for each in prepare_aligned(texts, redactor, layout=layout)]
    plain = [normalise_text(text, layout) for text in texts]
    return redactor.redact_each(plain) if redactor else list(plain)


def _with_places(prepared: AlignedText) -> PreparedTexts | None:
    if prepared.kept is None:
        return None
    text = PreparedTexts(prepared.kept)
    text.alignment = prepared.alignment
    return text


@lru_cache(8)
def _redactor_of(recipe: Recipe) -> Redactor | None:
    return None if recipe.entities is None else Redactor(recipe.entities, recipe.key, recipe.ner_model)


class Preparer:
    """Has long requests prepared by `submit`, which runs a function elsewhere, one after another."""

    def __init__(self, submit: Submit) -> None:
        self._submit, self._waiting, self._turns = submit, 0, FairLock()

    async def prepare(
        self, recipe: Recipe | None, texts: Sequence[str], caller: str = "", at_once: int = AT_ONCE
    ) -> list[str | None]:
        """The texts, prepared if they have more than `at_once` characters; None for one over its budget.

        QueueFull where too much waits.

        Callers, by the names of their keys, have turns: each piece of one is followed by a piece of the next.

        Cancelled, as where the caller is gone, it leaves at most one piece to be finished.
        """
        size = sum(map(len, texts))
        if recipe is None or size <= at_once:
            return list(texts)
        if self._waiting and self._waiting + size > MOST_WAITING:  # what is larger alone would be put off for ever
            raise QueueFull(f"{self._waiting:,} characters")
        self._waiting += size
        try:
            ready: list[str | None] = []
            for piece in _split_into_pieces(texts):
                async with self._turns.turn(caller):
                    ready += await self._prepare_with_retry(recipe, piece)
            return [text if text is None or isinstance(text, PreparedTexts) else PreparedTexts(text) for text in ready]
        finally:
            self._waiting -= size

    async def _prepare_with_retry(self, recipe: Recipe, piece: list[str]) -> list[str | None]:
        """Once more where the process was ended, as the system does where memory is short."""
        try:
            return await self._submit_piece(recipe, piece)
        except InfraError:
            return await self._submit_piece(recipe, piece)

    async def _submit_piece(self, recipe: Recipe, piece: list[str]) -> list[str | None]:
        ready: list[str | None] = await asyncio.wrap_future(self._submit(prepare_texts, recipe, piece))
        return ready


def _split_into_pieces(texts: Sequence[str]) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    room = PIECE
    for text in texts:
        if pieces[-1] and len(text) > room:
            pieces.append([])
            room = PIECE
        pieces[-1].append(text)
        room -= len(text)
    return pieces
