"""Limits for each API key, so that the others have their share of the service. Without keys nothing is counted."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from configs.schema import Serving
from tasks.serving.http.auth import Caller
from tasks.serving.http.messages import Refusal
from tasks.serving.text_preparation import MOST_WAITING


class Quotas:
    """Texts and feedback a minute, and texts and their characters that wait, of each key."""

    def __init__(self, settings: Serving, clock: Callable[[], float] = time.monotonic) -> None:
        self._texts = Rates("texts", settings.texts_per_minute, "serving.texts_per_minute", clock)
        self._feedback = Rates("pieces of feedback", settings.feedback_per_minute, "serving.feedback_per_minute", clock)
        self._share = max(1, int(settings.key_share * settings.max_waiting))
        self._share_of_characters = int(settings.key_share * MOST_WAITING)
        self._waiting: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()

    @contextmanager
    def texts(self, caller: Caller, texts: Sequence[str], path: str = "/predict") -> Iterator[None]:
        """The texts are one caller's to be answered while the block lasts; of characters one request may have any number.

        Refusal where they are too many: 429 now, 422 at any time, for then no waiting helps.
        """
        count, size = len(texts), sum(map(len, texts))
        if count > self._share:
            fault = f"{count:,} texts in one request are more than the {self._share:,} that this key may have waiting"
            raise Refusal(422, fault, "body", f"send at most {self._share:,} at once, or raise serving.key_share")
        if self._waiting[caller.name] + count > self._share:
            fault = f"{self._waiting[caller.name]:,} texts of this key are waiting, and it may have {self._share:,}"
            raise Refusal(429, fault, path, "wait for their answers first, or raise serving.key_share", {"Retry-After": "1"})
        characters = self._characters[caller.name]
        if characters and characters + size > self._share_of_characters:
            fault = f"{characters:,} characters of this key are waiting, and it may have {self._share_of_characters:,}"
            raise Refusal(429, fault, path, "wait for their answers first, or raise serving.key_share", {"Retry-After": "1"})
        self._texts.take(caller, count, path)
        self._waiting[caller.name] += count
        self._characters[caller.name] += size
        try:
            yield
        finally:
            self._waiting[caller.name] -= count
            self._characters[caller.name] -= size

    def feedback(self, caller: Caller) -> None:
        """Refusal (429) where a caller sends too much of it."""
        self._feedback.take(caller, 1, "/feedback")


class Rates:
    """Tokens of each caller: `per_minute` at once, and as many a minute after that; None: no limit."""

    def __init__(self, unit: str, per_minute: int | None, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._per_minute, self._setting, self._clock = unit, per_minute, setting, clock
        self._left: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, caller: Caller, count: int, path: str) -> None:
        """Refusal where the caller has not so many left (429), or never has (422); then nothing is taken."""
        if self._per_minute is None:
            return
        if count > self._per_minute:
            fault = f"{count:,} {self._what} in one request are more than the {self._per_minute:,} that this key may send a minute"
            raise Refusal(422, fault, "body", f"send at most {self._per_minute:,} at once, or raise {self._setting}")
        now = self._clock()
        left, since = self._left.get(caller.name, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        self._left[caller.name] = (left if left < count else left - count, now)
        if left < count:
            seconds = max(1, math.ceil((count - left) * 60 / self._per_minute))
            fault = f"this key may send {self._per_minute:,} {self._what} a minute"
            raise Refusal(429, fault, path, f"send fewer at once or later, or raise {self._setting}", {"Retry-After": str(seconds)})
