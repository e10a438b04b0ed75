"""Input and output of the gate: plain arrays in, a verdict with reasons in words out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from configs.schema import Gate
from tasks.stats.arrays import Floats

Decision = Literal["PROMOTE", "HOLD", "INCONCLUSIVE", "ADOPTED"]  # the last is a person's, and no answer of the gate
Rule = Literal["better", "not_worse", "guard", "information"]
Outcome = Literal["shown", "ruled out", "open", "harm shown", "no harm shown", "too few rows", "for information"]


@dataclass(frozen=True, eq=False)
class AddedScores:
    """Scores of another kind (added_scores.py): (n,) of challenger and opponent, higher is better, NaN where a row has none.

    `quantity` says in words by what, `opponent` against whom; differences beyond `largest` are clipped. `margin` is the loss that a
    guard tolerates, or the gain that a primary comparison asks for.
    """

    quantity: str
    opponent: str
    challenger: Floats
    other: Floats
    counts_as: Literal["nothing", "guard", "primary"]
    margin: float
    largest: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """Scores of every model on the same test rows, shape (n,) each, higher is better; 0/1 for right/wrong, else real.

    `champion` is None before the first release; then gate.first says what has to be shown against `trivial`, the trivial baseline,
    and `baseline`, the best one; `trivial` is None where the best one is the trivial one. `anchor` is the last version that won by
    `better`. `groups`: one value per row, null where the row stands alone. `recent` marks the rows of `gate.window`,
    `fair` those that are no exact or near duplicates of a training or validation row of *either* model; None means all. `slices`
    names columns of strings; `classes` are the targets, where each is one class; `label_rows` marks the rows
    of each label, where targets are sets. `look` is the number, from 1, of this decision among all that were taken
    on the pipeline in the last 52 weeks, against any champion and on any test rows: a rerun of the same decision-key is no new
    look. `metrics` are the challenger's, for the floors. `largest_difference`, which real scores need: what one row can differ by,
    as the problem declares it; larger differences are clipped. `scale`: what margins and effects that the config leaves out are
    shares of. `are_errors`: scores are errors with their sign turned round. `new_to_champion` and `new_to_anchor` mark the rows
    whose label that version never had; None means none.
    """

    challenger: Floats
    champion: Floats | None = None
    anchor: Floats | None = None
    baseline: Floats | None = None
    baseline_name: str = "baseline"
    trivial: Floats | None = None
    trivial_name: str = "trivial baseline"
    groups: Sequence[object] | NDArray[np.generic] | None = None
    recent: NDArray[np.bool_] | None = None
    fair: NDArray[np.bool_] | None = None
    slices: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    classes: NDArray[np.generic] | None = None
    label_rows: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    look: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    largest_difference: float | None = None
    scale: float = 1.0
    are_errors: bool = False
    new_to_champion: NDArray[np.bool_] | None = None
    new_to_anchor: NDArray[np.bool_] | None = None
    added: Sequence[AddedScores] = ()

    def of_rows(self, rows: NDArray[np.bool_]) -> Evidence:
        """The same of the rows that a mask (n,) marks."""
        if rows.all():
            return self
        changes: dict[str, Any] = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        for name in ("slices", "label_rows"):
            changes[name] = {key: values[rows] for key, values in getattr(self, name).items()}
        if self.groups is not None:
            changes["groups"] = [group for group, is_in in zip(self.groups, rows, strict=True) if is_in]
        return replace(self, **changes)


@dataclass(frozen=True)
class Comparison:
    """One question put to the rows: the challenger against `name` or, for a guard, against the champion on the part `name` says.

    `low` and `high` bound the difference, two-sided at `confidence` = 1 - 2 gate.alpha (0.5 at least): what these rows show when
    looked at once. `alpha` is what `p_value` is held against; both are None where nothing was tested. Read `outcome` with `rule`:
    primary rules are shown, ruled out or open; guards find harm shown, no harm shown or too few rows. `n_effective` is what
    the rows count for where groups are unequal; `clipped` rows differed by more than the largest difference and count as that.
    """

    name: str
    rule: Rule
    n: int
    n_groups: int
    n_effective: float
    clipped: int
    challenger: float
    other: float
    wins: int
    losses: int
    difference: float
    low: float | None
    high: float | None
    confidence: float
    margin: float | None
    p_value: float | None
    alpha: float | None
    outcome: Outcome
    quantity: str = ""  # in words, where it is not the problem's own score


@dataclass(frozen=True)
class Verdict:
    """The answer. `reasons` are sentences, the most important first; `n`, `n_groups` and `n_effective` count the rows of the
    primary comparison, `new_rows` those among them whose label, one of `new_labels`, the champion never had.

    `alpha` is what this look may spend of `gate.alpha`. For INCONCLUSIVE alone: `rows_needed`, None where no number of rows would
    do, and `detectable`, the smallest true gain that the rows at hand show at `gate.power`, None where they show none.
    """

    verdict: Decision
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    rows_needed: int | None
    detectable: float | None
    look: int
    alpha: float
    n: int
    n_groups: int
    n_effective: float
    excluded: int
    new_rows: int = 0
    new_labels: tuple[str, ...] = ()


def check_evidence(evidence: Evidence, settings: Gate) -> None:
    """Refuse evidence that cannot be judged: ValueError for the caller's mistakes, InputError for a floor on an unknown metric."""
    n = len(evidence.challenger)
    scores = {
        "challenger": evidence.challenger,
        "champion": evidence.champion,
        "anchor": evidence.anchor,
        "baseline": evidence.baseline,
        "trivial baseline": evidence.trivial,
    }
    columns: dict[str, Sequence[object] | NDArray[np.generic] | None] = {
        "groups": evidence.groups,
        "recent": evidence.recent,
        "fair": evidence.fair,
        "classes": evidence.classes,
        "new_to_champion": evidence.new_to_champion,
        "new_to_anchor": evidence.new_to_anchor,
        **{f"slices[{name}]": values for name, values in evidence.slices.items()},
    }
    for name, values in {**scores, **columns}.items():
        if values is not None and len(values) != n:
            raise ValueError(f"{name} has {len(values)} rows and the challenger {n}: score all of them on the same rows")
    for name, values in scores.items():
        if values is not None and not np.all(np.isfinite(values)):
            raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(values))} scores that are no finite numbers")
    if evidence.largest_difference is None and not all(right_or_wrong(values) for values in scores.values() if values is not None):
        raise ValueError("scores are neither 0 nor 1: real scores need `largest_difference`, which their problem declares")
    if evidence.champion is None and evidence.baseline is None:
        raise ValueError("there is neither a champion nor a baseline: a first challenger has to beat the best baseline")
    if evidence.look < 1:
        raise ValueError(f"look is {evidence.look}: looks are counted from 1")
    for bound in metric_bounds(settings):
        if bound.metric not in evidence.metrics:
            known = ", ".join(sorted(evidence.metrics)) or "none"
            raise InputError(f"{bound.setting}.{bound.metric}: there is no metric `{bound.metric}`; the evaluation gives: {known}")


def right_or_wrong(scores: Floats) -> bool:
    """Whether all scores are 0 or 1."""
    return bool(np.all((scores == 0) | (scores == 1)))


@dataclass(frozen=True)
class MetricBound:
    """The least, or the most, that a challenger may have of a metric; `setting` is where the config says so."""

    metric: str
    limit: float
    setting: Literal["gate.floors", "gate.ceilings"]

    @property
    def words(self) -> str:
        return f"at {'least' if self.setting == 'gate.floors' else 'most'} {self.limit:.4g}"

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """Whether the metric is within the bound; not where it is no number."""
        value = metrics[self.metric]
        return value >= self.limit if self.setting == "gate.floors" else value <= self.limit


def metric_bounds(settings: Gate) -> tuple[MetricBound, ...]:
    """The floors, then the ceilings."""
    return (
        *(MetricBound(name, limit, "gate.floors") for name, limit in settings.floors.items()),
        *(MetricBound(name, limit, "gate.ceilings") for name, limit in settings.ceilings.items()),
    )


def missed_bounds(evidence: Evidence, settings: Gate) -> tuple[MetricBound, ...]:
    """The bounds that the challenger does not keep."""
    return tuple(bound for bound in metric_bounds(settings) if not bound.holds(evidence.metrics))
