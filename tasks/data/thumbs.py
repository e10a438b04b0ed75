"""Thumbs: whether an answer is good or bad by itself, as people mark it, in one spelling."""

from __future__ import annotations

UP, DOWN = "up", "down"
WORDS = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "up", "good"), UP),
    **dict.fromkeys(("false", "0", "0.0", "no", "down", "bad"), DOWN),
}


def read_thumb(cell: str) -> str:
    """UP or DOWN of a cell's text; ValueError where it is neither."""
    thumb = WORDS.get(cell.strip().casefold())
    if thumb is None:
        raise ValueError("is neither a thumb up (true, 1, yes, up) nor down (false, 0, no, down)")
    return thumb
