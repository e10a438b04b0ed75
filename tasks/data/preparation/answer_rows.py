"""Rows whose answers stand in a context: prepared with their answers' places, and grouped by context."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tasks.data.answers import context_of, move_answers
from tasks.data.normalise import key_text
from tasks.data.redaction.aligned_texts import AlignedText
from tasks.data.redaction.placeholders import network_view
from tasks.data.text_parts import plain_part

GROUP = "context "  # begins the group of rows whose group is their context
_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # of a hash without digits: those might look like a telephone number


def moved_answers(
    raw: Sequence[str], prepared: Sequence[AlignedText], targets: Sequence[str | None]
) -> tuple[list[str], dict[int, str]]:
    """Targets in the inputs as they are kept, of those in the inputs as they came; and why a row is unusable, by its place."""
    moved, unusable = list[str](), dict[int, str]()
    for place, (before, after, target) in enumerate(zip(raw, prepared, targets, strict=True)):
        answers = move_answers(target, after.alignment, before, after.kept) if target and after.kept is not None else target or ""
        if answers is None:
            unusable[place] = "of its answers nothing is left once its text is normalised"
        moved.append(answers or "")
    return moved, unusable


def context_groups(groups: Sequence[str | None], raw: Sequence[str], texts: Sequence[str]) -> list[str | None]:
    """The group of each row; where that is its context itself, a hash of the context as it is kept stands for it."""
    return [
        _context_hash(text) if group is not None and plain_part(group) == context_of(came) else group
        for group, came, text in zip(groups, raw, texts, strict=True)
    ]


def _context_hash(text: str) -> str:
    (read,) = network_view([text])
    return GROUP + hashlib.blake2b(key_text(context_of(read)).encode(), digest_size=8).hexdigest().translate(_LETTERS)
