"""What the page works out from the report before it draws: sentences, orders and shared axes. No HTML here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from configs.schema import NLL_OF_ROWS
from tasks.report.draw import formats
from tasks.report.draw.charts import Domain, domain_of
from tasks.report.run.data import ComparisonRow, Curve, DataSummary, FitScore, ReportData, Score, System
from tasks.report.run.rows import ClassRow, Confusion, SliceRow, Unit

TESTS = ("better", "not_worse")
ROLE_ORDER = {"challenger": 0, "champion": 1, "baseline": 2}


@dataclass(frozen=True)
class ConfusedPair:
    """`n` rows of class `true` were taken for `predicted`, out of `of`."""

    true: str
    predicted: str
    n: int
    of: int


def score_of(system: System, metric: str) -> Score | None:
    return next((score for score in system.scores if score.metric == metric), None)


def ordered_systems(report: ReportData) -> list[System]:
    """Challenger, champion, then baselines, the better first; last those that are no opponents."""

    def place(system: System) -> tuple[int, float]:
        score = score_of(system, report.primary_metric)
        if score is None or score.value is None:
            return ROLE_ORDER[system.role], math.inf
        return ROLE_ORDER[system.role], -score.value if score.higher_is_better else score.value

    return sorted(report.systems, key=place)


def metric_names(report: ReportData) -> list[str]:
    """All metrics in the order in which systems name them, the primary one first."""
    names = dict.fromkeys([report.primary_metric])
    for system in ordered_systems(report):
        names.update(dict.fromkeys(score.metric for score in system.scores))
    return [name for name in names if any(score_of(system, name) for system in report.systems)]


def challenger_of(report: ReportData) -> System | None:
    return next((system for system in report.systems if system.role == "challenger"), None)


def primary_score(report: ReportData) -> Score | None:
    system = challenger_of(report)
    return score_of(system, report.primary_metric) if system else None


def sums_likelihood_twice(report: ReportData) -> bool:
    """Whether one likelihood is shown as a sum over all tokens and as a mean of rows."""
    return any(score_of(system, NLL_OF_ROWS.name) for system in report.systems)


def compared_quantity(report: ReportData) -> str:
    """What the gate compares of rows, in words; empty where the report does not say."""
    return next((comparison.quantity for comparison in report.comparisons if comparison.quantity), "")


def primary_comparison(report: ReportData) -> ComparisonRow | None:
    """The first test of the gate: against the champion or, before there is one, the best baseline."""
    return next((comparison for comparison in report.comparisons if comparison.kind in TESTS), None)


def score_domain(report: ReportData) -> Domain:
    """One axis for all systems near the challenger. A majority class far off would squeeze the rest: it becomes an arrow."""
    scores = {
        system: score
        for system in report.systems
        if (score := score_of(system, report.primary_metric)) and formats.is_number(score.value)
    }
    bound = 1.0 if all(score.unit == "share" for score in scores.values()) else None
    best = primary_score(report)
    centre = best.value if best and best.value is not None else 0.0
    far = {system: abs((score.value or 0.0) - centre) for system, score in scores.items()}
    near = [far[system] for system in scores if system.role == "champion"]
    nearest = min((far[system] for system in scores if system.role == "baseline"), default=0.0)
    reach = max([2.5 * nearest, *near])
    values = [value for system, score in scores.items() if far[system] <= reach for value in (score.value, score.low, score.high)]
    return domain_of(values, floor=0.0, ceiling=bound)


def difference_domain(comparisons: Sequence[ComparisonRow], worse: float = 0.0) -> Domain:
    """One axis around zero for differences that share a unit; at least the share `worse` of it lies left of zero."""
    values: list[float | None] = [0.0]
    for comparison in comparisons:
        values += [comparison.difference, comparison.low, comparison.high, -(comparison.margin or 0.0)]
    low, high = domain_of(values)
    return min(low, -max(high, 0.0) * worse / (1 - worse)), high


def of_unit(comparisons: Sequence[ComparisonRow], unit: Unit) -> list[ComparisonRow]:
    return [comparison for comparison in comparisons if comparison.unit == unit]


def urgent_first(comparisons: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Guards that fired, then those closest to firing, then those not judged."""
    order = {"bad": 0, "wait": 1, "good": 2}

    def place(comparison: ComparisonRow) -> tuple[int, float]:
        p = comparison.p_value
        return order.get(formats.outcome_mark(comparison.outcome)[0], 3), 1.0 if p is None else p

    return sorted(comparisons, key=place)


def of_kind(report: ReportData, *kinds: str) -> list[ComparisonRow]:
    return [comparison for comparison in report.comparisons if comparison.kind in kinds]


def objections(report: ReportData) -> list[ComparisonRow]:
    """The evidence against the challenger besides the primary test: harm shown, floors missed, an anchor's margin ruled out."""
    primary = primary_comparison(report)
    return [
        comparison
        for comparison in report.comparisons
        if formats.outcome_mark(comparison.outcome)[0] == "bad" and comparison is not primary
    ]


def report_headline(report: ReportData) -> str:
    """What the verdict does to those who use the model, in one sentence."""
    new = f"version {report.model_version}" if report.model_version else "the challenger"
    old = f"version {report.champion_version}" if report.champion_version else ""
    if report.verdict == "PROMOTE":
        sentence = f"{new} replaces {old} as champion" if old else f"{new} becomes the first champion"
    elif report.verdict == "ADOPTED":
        sentence = f"{new}, fine-tuned elsewhere, " + (f"replaces {old} as champion" if old else "becomes champion")
    elif report.verdict == "HOLD":
        sentence = f"{old} stays champion" if old else "nothing is released: there is no champion yet"
    else:
        sentence = f"not enough evidence: {old} stays champion" if old else "not enough evidence: there is no champion yet"
    return formats.first_upper(sentence)


def worst_first(classes: Sequence[ClassRow]) -> list[ClassRow]:
    return sorted(classes, key=lambda row: (row.recall is None, row.recall or 0.0, row.name))


def by_column(slices: Sequence[SliceRow]) -> dict[str, list[SliceRow]]:
    """Slices under the column that cuts them, the largest first."""
    groups: dict[str, list[SliceRow]] = {}
    for row in slices:
        groups.setdefault(row.column, []).append(row)
    return {column: sorted(rows, key=lambda row: -row.n) for column, rows in groups.items()}


def most_confused(confusion: Confusion, most: int = 12) -> list[ConfusedPair]:
    """The pairs of classes that are confused on the most rows."""
    pairs = [
        ConfusedPair(true, confusion.labels[j], n, sum(row))
        for i, (true, row) in enumerate(zip(confusion.labels, confusion.counts, strict=True))
        for j, n in enumerate(row)
        if i != j and n > 0
    ]
    return sorted(pairs, key=lambda pair: (-pair.n, -pair.n / pair.of, pair.true, pair.predicted))[:most]


def curve_panels(report: ReportData) -> dict[str, list[Curve]]:
    """Curves grouped by the chart that they share."""
    groups: dict[str, list[Curve]] = {}
    for curve in report.curves:
        groups.setdefault(curve.panel, []).append(curve)
    return groups


def fit_gap(score: FitScore, split: Literal["train", "validation"]) -> float | None:
    """How much better the challenger is on rows of `split` than on test rows, whichever way its metric is better."""
    own = score.train if split == "train" else score.validation
    if own is None or score.test is None:
        return None
    return own - score.test if score.higher_is_better else score.test - own


def split_parts(data: DataSummary) -> list[tuple[str, float]]:
    return [(f"{split.name}: {formats.format_count(split.n)} rows", float(split.n)) for split in data.splits]
