"""Scores, differences and row counts of the gate as words."""

from __future__ import annotations

from math import floor
from typing import Literal

import numpy as np

from tasks.gate.evidence import Evidence

Unit = Literal["share", "number", "error"]


def unit_of(evidence: Evidence) -> Unit:
    """Of scores that are right/wrong or lie between the two differences are points and levels percent."""
    if evidence.are_errors:
        return "error"
    arrays = (evidence.challenger, evidence.champion, evidence.anchor, evidence.baseline, evidence.trivial)
    return "share" if all(np.all((scores >= 0) & (scores <= 1)) for scores in arrays if scores is not None) else "number"


def difference_text(value: float, unit: Unit) -> str:
    """A difference: in percentage points where the scores are shares, else as it is."""
    return f"{100 * value:.1f} points" if unit == "share" else f"{value:.4g}"


def score_text(value: float, unit: Unit) -> str:
    """A mean score: in percent where the scores are shares, as the error where they are errors, which lie below zero."""
    return f"{100 * value:.1f} %" if unit == "share" else f"{-value if unit == 'error' else value:.4g}"


def effective_rows(rows: float) -> str:
    """What grouped rows count for, rounded down."""
    return "1 effective row" if 1 <= rows < 2 else f"{floor(rows + 1e-9)} effective rows"
