"""Words that came or went, as a page shows them: how often as before, and where in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.report.draw import formats
from tasks.report.monitor.data import ChangeRow


def times_as_often(change: ChangeRow) -> str:
    """How the odds changed: new, gone, 8 times, a third."""
    if change.n_reference == 0:
        return "new"
    if change.n_window == 0:
        return "gone"
    factor = change.window / change.reference if change.reference else 0.0
    return f"×{formats.format_number(factor, 2)}"


def marked_pieces(text: str, chosen: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in pieces, those that are one of the changed words marked."""
    words = sorted({word for word in chosen if word and not word.startswith("<")}, key=len, reverse=True)
    if not words:
        return [(text, False)]
    pieces = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE).split(text)
    return [(part, n % 2 == 1) for n, part in enumerate(pieces) if part]
