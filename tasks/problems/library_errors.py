"""The errors that libraries raise where they cannot read or build a model, and their message in one line."""

from __future__ import annotations

REFUSALS = (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError, ImportError)


def first_line(error: BaseException) -> str:
    """The first line of a library's error, short enough for one message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
