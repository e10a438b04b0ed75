"""Rows whose answers stand in a context: prepared with their answers' places, grouped by context, compared by question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.data.alignment import Alignment, aligned_normalise
from tasks.data.answers import context_of, move_answers, question_of
from tasks.data.normalise import key_text
from tasks.data.preparation.deduplicate import shingle_words
from tasks.data.redaction.placeholders import network_view
from tasks.data.redaction.redact import Redactor

GROUP = "context "  # begins the group of rows that have none of their own
_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a hash without digits: those might look like a telephone number


@dataclass(frozen=True)
class PreparedAnswers:
    """Inputs normalised (`plain`) and redacted too (`texts`), targets with their places there; `costly` are over their budget."""

    plain: list[str]
    texts: list[str]
    targets: list[str]
    costly: set[str]


def prepare_answers(raw: Sequence[str], targets: Sequence[str | None], redactor: Redactor | None) -> PreparedAnswers:
    """Inputs as they come with targets in their places; a target of which nothing is left, or that was refused, becomes empty."""
    normalised = [aligned_normalise(text) for text in raw]
    plain = [text for text, _ in normalised]
    redacted = [(text, Alignment()) for text in plain] if redactor is None else redactor.redact_aligned(plain)
    texts, moved = list[str](), list[str]()
    for before, (_, first), after, target in zip(raw, normalised, redacted, targets, strict=True):
        text, second = after or ("", Alignment())
        texts.append(text)
        moved.append(move_answers(target, first.then(second), before, text) or "" if after and target else "")
    return PreparedAnswers(plain, texts, moved, {text for text, after in zip(plain, redacted, strict=True) if after is None})


def context_groups(groups: Sequence[str | None], texts: Sequence[str]) -> list[str | None]:
    """The group of each row: its own, else its context, for the answers to questions on one text are no independent evidence."""
    keys = [key_text(context_of(text)) for text in network_view(texts)]
    digests = [hashlib.blake2b(key.encode(), digest_size=8).hexdigest().translate(_LETTERS) for key in keys]
    return [group or GROUP + digest for group, digest in zip(groups, digests, strict=True)]


def weighted_words(text: str) -> list[str]:
    """The words that near copies are told by: the question's so often, each time as others, that they weigh as the context's do.

    Else all questions on one context would be near copies of one another.
    """
    asked, context = shingle_words(question_of(text)), shingle_words(context_of(text))
    times = max(1, round(len(context) / max(1, len(asked))))
    return [f"{number} {word}" for number in range(times) for word in asked] + context
