"""How libraries refuse what they cannot read or build: the errors to expect of them, and what they say in one line."""

from __future__ import annotations

REFUSALS = (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError, ImportError)


def first_line(error: BaseException) -> str:
    """What a library's error says, short enough for one message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
