"""What one report says, as plain frozen values, stored as report.json beside the page: any later version can draw it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tasks.report.run import rows
from tasks.report.stored import dump_page, load_page


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of one system on the test rows, with its confidence interval where one was worked out."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: rows.Unit = "share"
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class System:
    """One of those compared: the challenger, the champion, or a baseline (the base model itself is one)."""

    name: str
    role: Literal["challenger", "champion", "baseline"]
    scores: tuple[Score, ...]
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One question of the gate, in the gate's own words, or a floor. `difference`: challenger minus other, above zero is better.

    Outcomes: shown, ruled out or open where `kind` is better or not_worse; harm shown, no harm shown or too few rows for a
    guard; for information; met or missed for a floor. `confidence` is that of [low, high], where it is not the report's.
    `quantity` names what differs ("accuracy", "log-likelihood per token, mean of rows").
    """

    name: str
    kind: Literal["better", "not_worse", "guard", "information", "floor"]
    n: int
    outcome: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    margin: float | None = None
    wins: int | None = None
    losses: int | None = None
    unit: rows.Unit = "share"
    quantity: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Which test rows decided: those of the gate's window, less those that either model may have seen in training.

    `needed` rows would settle a question left open; `detectable` is the smallest gain, in `unit`, that the rows at hand would show.
    `effective` is what the rows count for where groups are unequal; `new_rows` have `new_labels`, which the champion never had.
    """

    test: int
    judged: int
    window: int | None = None
    left_out: int = 0
    groups: int | None = None
    effective: float | None = None
    new_rows: int = 0
    new_labels: tuple[str, ...] = ()
    needed: int | None = None
    detectable: float | None = None
    unit: rows.Unit = "share"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line over optimizer steps or epochs; curves of the same `panel` ("loss", "accuracy") share a chart."""

    name: str
    panel: str
    points: tuple[tuple[float, float | None], ...]
    unit: rows.Unit = "number"
    by: Literal["step", "epoch"] = "step"


@dataclass(frozen=True, kw_only=True)
class FitScore:
    """One metric of the challenger on rows it was trained on, on those that chose its epoch, and on test rows."""

    metric: str
    train: float | None
    test: float | None
    validation: float | None = None
    unit: rows.Unit = "share"
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class FitSplit:
    """A split of that table: `scored` of its `rows`."""

    name: str
    scored: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How much better it knows its own rows: if `fitted`, weights were fitted to those of train, with `refit` of validation too."""

    scores: tuple[FitScore, ...]
    splits: tuple[FitSplit, ...]
    refit: bool = False
    fitted: bool = True


@dataclass(frozen=True, kw_only=True)
class Count:
    name: str
    n: int


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The outcome of one expectation of the contract; `severity` is warn, quarantine or stop.

    `evaluated` is False where it had nothing to compare with; `success` is then True.
    """

    name: str
    success: bool
    severity: str
    evaluated: bool = True
    unexpected: int | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """What came in, what was left out and why, what stayed.

    `leakage`: rows of test with a copy in train or validation, exact or of at least `leakage_threshold` in Jaccard similarity.
    """

    source: str
    rows_read: int
    splits: tuple[Count, ...] = ()
    dropped: tuple[Count, ...] = ()
    redacted: tuple[Count, ...] = ()
    quarantined: tuple[Count, ...] = ()
    contract: tuple[Expectation, ...] = ()
    leakage: int | None = None
    leakage_threshold: float | None = None
    leakage_note: str = ""
    data_docs: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Wall seconds of one stage."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    stages: tuple[StageCost, ...] = ()
    peak_bytes: int | None = None
    device: str = ""
    numerics: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All that it takes to name this version, and to build it again."""

    snapshot: str
    train_key: str
    decision_key: str
    base: str
    base_sha256: str | None = None
    adapter: str = ""
    adapter_bytes: int | None = None
    base_bytes: int | None = None
    seeds: dict[str, int] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One run's report. What is None or empty is left out of the page."""

    pipeline: str
    problem: str
    verdict: Literal["PROMOTE", "HOLD", "INCONCLUSIVE", "ADOPTED"]
    reasons: tuple[str, ...]
    run_id: str
    created: str
    primary_metric: str
    systems: tuple[System, ...]
    identity: Identity
    confidence: float = 0.95
    model_name: str | None = None
    model_version: str | None = None
    champion_version: str | None = None
    look: int | None = None
    looks_per_year: int | None = None
    next_command: str | None = None
    rule: str = "better"
    comparisons: tuple[ComparisonRow, ...] = ()
    population: Population | None = None
    classes: tuple[rows.ClassRow, ...] = ()
    slices: tuple[rows.SliceRow, ...] = ()
    confusion: rows.Confusion | None = None
    calibration: rows.Calibration | None = None
    curves: tuple[Curve, ...] = ()
    kept_epoch: int | None = None
    fit: Fit | None = None
    training: str = ""  # a sentence: which epoch's weights these are, at what rate and temperature
    data: DataSummary | None = None
    errors: tuple[rows.WorstError, ...] = ()
    misranked: tuple[rows.Misranked, ...] = ()
    generations: tuple[rows.Generation, ...] = ()
    numbers: rows.NumberFit | None = None
    answers: rows.AnswerFit | None = None
    spans: rows.SpanReport | None = None
    judge: rows.JudgeSummary | None = None
    scorers: tuple[rows.ScorerRow, ...] = ()
    cost: Cost | None = None
    notices: tuple[str, ...] = ()
    format: int = 1


def to_json(report: ReportData) -> str:
    """The report as JSON; a number that is not finite becomes null, which the page shows as absent."""
    return dump_page(report)


def from_json(text: str | bytes) -> ReportData:
    """The report of a stored report.json, less the fields that this version does not know. Raises InputError on anything else."""
    return load_page(ReportData, text, "report", "give the report.json that a retrain wrote")
