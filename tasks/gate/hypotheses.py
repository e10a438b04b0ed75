"""The comparisons that the gate makes: on which rows, against which opponents, and on which parts it looks for harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from configs.schema import ScaledGate
from tasks.gate.evidence import AddedScores, Evidence, Rule
from tasks.stats.arrays import Codes, Floats, group_codes
from tasks.stats.pairs import Pairs, pair_scores

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Question:
    """A comparison before it is answered."""

    name: str
    rule: Rule
    margin: float | None
    pairs: Pairs
    quantity: str = ""


@dataclass(frozen=True, eq=False)
class ComparedRows:
    """The rows that take part: the primary ones, the older ones, and each row's group."""

    primary: Mask
    older: Mask
    codes: Codes
    excluded: int

    @property
    def n(self) -> int:
        return int(self.primary.sum())

    @property
    def group_sizes(self) -> Floats:
        return np.unique(self.codes[self.primary], return_counts=True)[1].astype(np.float64)

    def with_scores(self, added: AddedScores) -> ComparedRows:
        """The primary rows that have these scores."""
        has = np.isfinite(added.challenger) & np.isfinite(added.other)
        return replace(self, primary=self.primary & has)


def primary_rows(evidence: Evidence) -> ComparedRows:
    n = len(evidence.challenger)
    fair = np.ones(n, dtype=bool) if evidence.fair is None else np.asarray(evidence.fair, dtype=bool)
    recent = np.ones(n, dtype=bool) if evidence.recent is None else np.asarray(evidence.recent, dtype=bool)
    return ComparedRows(recent & fair, ~recent & fair, group_codes(evidence.groups, n), int(n - fair.sum()))


def _pairs_against(evidence: Evidence, other: Floats, mask: Mask, codes: Codes) -> Pairs:
    scores = (evidence.challenger[mask].astype(np.float64), other[mask].astype(np.float64))
    return pair_scores(*scores, codes[mask], evidence.largest_difference)


def primary_questions(evidence: Evidence, settings: ScaledGate, rows: ComparedRows) -> Iterator[Question]:
    """What has to be shown, on the recent and fair rows. A first challenger has nothing to be not worse than: it must be better.

    Better than the best baseline or, where gate.first is `useful`, than the trivial one.
    """
    if rows.n == 0:
        return
    rule: Rule = "better" if evidence.champion is None else settings.rule
    margin = settings.margin if rule == "not_worse" else None
    opponents: list[tuple[str, Floats | None]] = [("champion", evidence.champion)]
    if evidence.champion is None:
        best, trivial = (evidence.baseline_name, evidence.baseline), (evidence.trivial_name, evidence.trivial)
        name, scores = trivial if held_to_best(evidence, settings) else best
        opponents = [(f"baseline {name}", scores)]
    elif rule == "not_worse":
        opponents.append(("anchor", evidence.anchor))
    for name, other in opponents:
        if other is not None:
            yield Question(name, rule, margin, _pairs_against(evidence, other, rows.primary, rows.codes))


def held_to_best(evidence: Evidence, settings: ScaledGate) -> bool:
    """Whether this is a first release that beats the trivial baseline, and only must not lose too much against the best one."""
    return evidence.champion is None and settings.first == "useful" and evidence.trivial is not None


def known_label_questions(evidence: Evidence, settings: ScaledGate, rows: ComparedRows) -> Iterator[Question]:
    """What has to be shown besides, where the test rows have labels that a version never had: no loss on the rows of the others.

    That version is wrong on every row of such a label, so that a new class alone would promote any challenger that knows it.
    """
    versions: list[tuple[str, Floats | None, Mask | None]] = [("champion", evidence.champion, evidence.new_to_champion)]
    if settings.rule == "not_worse":
        versions.append(("anchor", evidence.anchor, evidence.new_to_anchor))
    for name, scores, new in versions:
        if scores is None or new is None or not new[rows.primary].any():
            continue
        known = rows.primary & ~np.asarray(new, dtype=bool)
        if known.any():
            name = f"{name} on the labels it knows"
            yield Question(name, "not_worse", settings.margin, _pairs_against(evidence, scores, known, rows.codes))


def new_rows(evidence: Evidence, rows: ComparedRows) -> Mask:
    """(n,) True for the primary rows whose label the champion never had."""
    if evidence.champion is None or evidence.new_to_champion is None:
        return np.zeros(len(rows.primary), dtype=bool)
    return np.asarray(rows.primary & evidence.new_to_champion, dtype=bool)


def guard_questions(evidence: Evidence, settings: ScaledGate, rows: ComparedRows) -> Iterator[Question]:
    """Where harm is looked for: slices and classes of the primary rows, and the older rows as one; first, against the baseline."""
    if evidence.champion is None:
        if held_to_best(evidence, settings) and evidence.baseline is not None and rows.n:
            pairs = _pairs_against(evidence, evidence.baseline, rows.primary, rows.codes)
            yield Question(f"baseline {evidence.baseline_name}", "guard", settings.first_margin, pairs)
        return
    guards = settings.guards
    parts: list[tuple[str, NDArray[np.generic], float]] = [
        (f"slice {name}=", np.asarray(values), guards.slice_margin) for name, values in evidence.slices.items()
    ]
    if evidence.classes is not None:
        parts.append(("class ", np.asarray(evidence.classes), guards.class_margin))
    for prefix, values, margin in parts:
        categories = values.astype(str)
        for value in np.unique(categories[rows.primary]):
            mask = rows.primary & (categories == value)
            yield Question(f"{prefix}{value}", "guard", margin, _pairs_against(evidence, evidence.champion, mask, rows.codes))
    for label, marked in evidence.label_rows.items():
        mask = rows.primary & marked
        if mask.any():
            pairs = _pairs_against(evidence, evidence.champion, mask, rows.codes)
            yield Question(f"label {label}", "guard", guards.class_margin, pairs)
    if rows.older.any():
        yield Question(
            "older rows", "guard", guards.older_margin, _pairs_against(evidence, evidence.champion, rows.older, rows.codes)
        )


def side_comparisons(evidence: Evidence, settings: ScaledGate, rows: ComparedRows) -> Iterator[Question]:
    """Comparisons that inform and decide nothing: with the baseline once there is a champion, with the anchor under `better`."""
    if rows.n == 0 or evidence.champion is None:
        return
    if evidence.baseline is not None:
        pairs = _pairs_against(evidence, evidence.baseline, rows.primary, rows.codes)
        yield Question(f"baseline {evidence.baseline_name}", "information", None, pairs)
    if evidence.anchor is not None and settings.rule == "better":
        yield Question("anchor", "information", None, _pairs_against(evidence, evidence.anchor, rows.primary, rows.codes))


def opponent_comparisons(evidence: Evidence, rows: ComparedRows) -> Iterator[Question]:
    """The champion and the best baseline, for information alone."""
    if rows.n == 0:
        return
    for name, scores in (("champion", evidence.champion), (f"baseline {evidence.baseline_name}", evidence.baseline)):
        if scores is not None:
            yield Question(name, "information", None, _pairs_against(evidence, scores, rows.primary, rows.codes))
