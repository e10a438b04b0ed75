"""The view that a network has of a redacted value: its kind alone, <PHONE_NUMBER>, where a snapshot keeps <PHONE_NUMBER:1f3a9c2b>.

The tag serves storage and joins: it tells equal values from others. To a network it is a word of random letters, another one under
each installation's key. So code that reads texts as a network does (training, scoring, baselines, serving, monitors, the search
for duplicates) reads them through `network_view`, and weights do not depend on a key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tasks.data.alignment import Alignment, substitute
from tasks.data.redaction.patterns import PRIORITY

TAG_DIGITS = 8
PLACEHOLDER = re.compile(rf"<({'|'.join(PRIORITY)}):[0-9a-f]{{{TAG_DIGITS}}}>")
_KIND = r"<\1>"

TextView = Literal[0, 1]
TAGGED: TextView = 0  # as stored: networks whose network.json names no view were trained so, and are asked so
VIEW: TextView = 1  # kinds alone: every network that is trained today


def network_view(texts: Sequence[str], view: int = VIEW) -> list[str]:
    """Texts as a network of this view reads them, in their order; applied again it changes nothing."""
    if view == TAGGED:
        return list(texts)
    return [PLACEHOLDER.sub(_KIND, text) if "<" in text else text for text in texts]


def aligned_view(text: str, view: int = VIEW) -> tuple[str, Alignment]:
    """A text as a network of this view reads it, and where it lies then."""
    return (text, Alignment()) if view == TAGGED or "<" not in text else substitute(PLACEHOLDER, _KIND, text)
