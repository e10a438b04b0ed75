"""Texts as they are kept: normalised, then redacted, each with where its characters lie then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.data.alignment import Alignment, aligned_normalise
from tasks.data.redaction.redact import Redactor


@dataclass(frozen=True)
class AlignedText:
    """A text normalised, and as it is kept; `alignment` leads from the text as it came to that one.

    `kept` is None for a text over the budget of its search for personal data.
    """

    normalised: str
    kept: str | None
    alignment: Alignment


def prepare_aligned(texts: Sequence[str], redactor: Redactor | None, *, layout: bool = False) -> list[AlignedText]:
    """Texts, or inputs of several, as they come; without a redactor they are normalised alone."""
    plain = [aligned_normalise(text, layout) for text in texts]
    redacted = redactor.redact_aligned([text for text, _ in plain]) if redactor else [(text, Alignment()) for text, _ in plain]
    return [
        AlignedText(text, None, first) if after is None else AlignedText(text, after[0], first.then(after[1]))
        for (text, first), after in zip(plain, redacted, strict=True)
    ]
