"""Scores of another kind than the problem's own, such as preferences of a judge: they may decide, guard or inform.

As `primary` they stand in the place of the problem's own score, which is then for information; as `guard` they veto where harm
beyond their margin is shown. Rows without a score (NaN) take no part in their comparison, and in no other are they missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tasks.gate.evidence import AddedScores, Comparison, Evidence
from tasks.gate.hypotheses import ComparedRows, Question
from tasks.stats.pairs import pair_scores

CountsAs = Literal["nothing", "guard", "primary"]


@dataclass(frozen=True, eq=False)
class ArrangedQuestions:
    """What decides, and what guards and informs; `deciding` are the added scores that stand in the place of the problem's own."""

    primary: tuple[Question, ...]
    others: tuple[Question, ...]
    deciding: AddedScores | None = None


def arrange_questions(
    evidence: Evidence, rows: ComparedRows, primary: Sequence[Question], others: Sequence[Question]
) -> ArrangedQuestions:
    """The questions about the problem's own scores with those about added ones among them."""
    deciding = next((scores for scores in evidence.added if scores.counts_as == "primary"), None)
    added = [(scores, _question_of(scores, rows)) for scores in evidence.added]
    beside = [question for scores, question in added if question is not None and scores is not deciding]
    if deciding is None:
        return ArrangedQuestions((*primary,), (*others, *beside))
    informing = [replace(question, rule="information", margin=None) for question in primary]
    chosen = [question for scores, question in added if question is not None and scores is deciding]
    return ArrangedQuestions((*chosen,), (*others, *informing, *beside), deciding)


def _question_of(scores: AddedScores, rows: ComparedRows) -> Question | None:
    """The comparison of added scores on the primary rows that have them; None where none has."""
    mask = rows.primary & np.isfinite(scores.challenger) & np.isfinite(scores.other)
    if not mask.any():
        return None
    pairs = pair_scores(scores.challenger[mask], scores.other[mask], rows.codes[mask], scores.largest)
    rules = {"primary": "better", "guard": "guard", "nothing": "information"}
    margin = scores.margin if scores.counts_as == "guard" else None
    return Question(scores.opponent, rules[scores.counts_as], margin, pairs, scores.quantity)  # type: ignore[arg-type]


def added_text(c: Comparison) -> str:
    """One comparison of added scores in a sentence."""
    heads = {
        ("better", "shown"): f"Better than the {c.name} by {c.quantity}",
        ("better", "ruled out"): f"A gain over the {c.name} by {c.quantity} is ruled out",
        ("better", "open"): f"Not shown to be better than the {c.name} by {c.quantity}",
        ("guard", "harm shown"): f"Harm shown by {c.quantity}, against the {c.name}",
        ("guard", "no harm shown"): f"No harm beyond {c.margin or 0.0:.4g} shown by {c.quantity}, against the {c.name}",
        ("guard", "too few rows"): f"Not judged by {c.quantity}, as there are too few rows",
    }
    head = heads.get((c.rule, c.outcome), f"By {c.quantity}, beside the {c.name}, which decides nothing")
    ends = "" if c.low is None or c.high is None else f" ({100 * c.confidence:g} % interval {c.low:.3g} to {c.high:.3g})"
    p = "" if c.p_value is None or c.alpha is None else f"; p = {c.p_value:.2g}, where {c.alpha:.2g} is allowed"
    return f"{head}: ahead on {c.wins} of {c.n} rows, behind on {c.losses}, {c.difference:+.3g}{ends}{p}."
