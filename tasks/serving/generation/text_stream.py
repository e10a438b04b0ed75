"""Tokens become text as they come: no half character, nothing of a stop word, and no space at either end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HALF = "\N{REPLACEMENT CHARACTER}"  # what a tokenizer shows for bytes that are no character yet
MOST_PENDING = 16  # tokens: a character has four bytes, so that these never become one


class TokenText:
    """The text of tokens, a piece at a time, as the tokenizer would write all of them at once.

    A piece is what the text of the last tokens grows by, since how a token is written may hang on the one before it. Bytes that are
    no character yet wait for those that follow.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._shown = 0  # tokens of the window whose text was given
        self._text = ""  # of those

    def add(self, token: int) -> str:
        """The text that this token ends; often empty."""
        self._window.append(token)
        text = self._decode(self._window)
        is_half = text.endswith(HALF) and len(self._window) - self._shown < MOST_PENDING
        return "" if is_half or len(text) <= len(self._text) else self._give(text)

    def end(self) -> str:
        """What still waits."""
        text = self._decode(self._window)
        return self._give(text) if len(text) > len(self._text) else ""

    def _give(self, text: str) -> str:
        piece = text[len(self._text) :]
        self._window = self._window[self._shown :]
        self._shown, self._text = len(self._window), self._decode(self._window)
        return piece

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


class AnswerText:
    """The text of an answer that is being written. `shown` only ever grows, and is what a caller may see already.

    What may yet turn out to be a stop word waits, and spaces wait for what follows them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str] = ()) -> None:
        self._pieces, self._stops = TokenText(tokenizer), tuple(stops)
        self._held = ""
        self.shown = ""

    def add(self, token: int) -> bool:
        """Take a token in; True where the answer ends before a stop word."""
        return self._take(self._pieces.add(token))

    def end(self) -> bool:
        """Show all that waited, for no token follows; True where that holds a stop word, and the answer ends before it."""
        stopped = self._take(self._pieces.end())
        if not stopped:
            self._show(len(self._held))
        return stopped

    def _take(self, piece: str) -> bool:
        if not piece:
            return False
        self._held += piece
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self._show(min(places))
            self._held = ""
            return True
        self._show(len(self._held) - max((_begun(self._held, stop) for stop in self._stops), default=0))
        return False

    def _show(self, end: int) -> None:
        ready = self._held[:end].rstrip()
        self._held = self._held[len(ready) :]
        self.shown += ready if self.shown else ready.lstrip()


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop word."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
