"""Rows whose answers stand in a context: prepared with their answers' places, grouped by context, compared by question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tasks.data.alignment import Alignment, aligned_normalise
from tasks.data.answers import context_of, move_answers, question_of
from tasks.data.normalise import key_text
from tasks.data.preparation.deduplicate import shingle_words
from tasks.data.redaction.placeholders import network_view
from tasks.data.redaction.redact import Redactor
from tasks.data.text_parts import plain_part

GROUP = "context "  # begins the group of rows whose group is their context
_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a hash without digits: those might look like a telephone number


def prepare_answers(
    raw: Sequence[str], targets: Sequence[str | None], redactor: Redactor | None
) -> tuple[list[str], list[str | None], list[str], dict[int, str]]:
    """Inputs normalised; then redacted too, None over the budget; answers at their places in those; and why a row is unusable."""
    normalised = [aligned_normalise(text) for text in raw]
    plain = [text for text, _ in normalised]
    redacted = [(text, Alignment()) for text in plain] if redactor is None else redactor.redact_aligned(plain)
    moved, unusable = list[str](), dict[int, str]()
    for place, (before, (_, first), after, target) in enumerate(zip(raw, normalised, redacted, targets, strict=True)):
        answers = move_answers(target, first.then(after[1]), before, after[0]) if target and after else target or ""
        if answers is None:
            unusable[place] = "of its answers nothing is left once its text is normalised"
        moved.append(answers or "")
    return plain, [after and after[0] for after in redacted], moved, unusable


def context_groups(groups: Sequence[str | None], raw: Sequence[str], texts: Sequence[str]) -> list[str | None]:
    """The group of each row; where that is its context itself, a hash of the context as it is kept stands for it."""
    return [
        _context_hash(text) if group is not None and plain_part(group) == context_of(came) else group
        for group, came, text in zip(groups, raw, texts, strict=True)
    ]


def _context_hash(text: str) -> str:
    (read,) = network_view([text])
    return GROUP + hashlib.blake2b(key_text(context_of(read)).encode(), digest_size=8).hexdigest().translate(_LETTERS)


def weighted_words(text: str) -> list[str]:
    """The words that near copies are told by: the question's so often, each time as others, that they weigh as the context's do.

    Else all questions on one context would be near copies of one another.
    """
    asked, context = shingle_words(question_of(text)), shingle_words(context_of(text))
    times = max(1, round(len(context) / max(1, len(asked))))
    return [f"{number} {word}" for number in range(times) for word in asked] + context
