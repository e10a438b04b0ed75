"""Words that came or went, as a page shows them: how often as before, and where in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.report.draw import formats
from tasks.report.monitor.data import ChangeRow


def times_as_often(one: ChangeRow) -> str:
    """How the odds changed: new, gone, 8 times, a third."""
    if one.n_reference == 0:
        return "new"
    if one.n_window == 0:
        return "gone"
    factor = one.window / one.reference if one.reference else 0.0
    return f"×{formats.format_number(factor, 2)}"


def marked_pieces(text: str, chosen: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in pieces, those that are one of the changed words marked."""
    wanted = sorted({one for one in chosen if one and not one.startswith("<")}, key=len, reverse=True)
    if not wanted:
        return [(text, False)]
    found = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, wanted))})(?!\w)", re.IGNORECASE).split(text)
    return [(part, n % 2 == 1) for n, part in enumerate(found) if part]
