"""What one look of the monitors says, with all that went before it, as plain frozen values: watch.json beside the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.report.run.rows import Unit
from tasks.report.stored import dump_page, load_page


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """What one monitor found at one look: the fields of drift.types' Finding, so `Finding(**finding)` fills it.

    `effect` with [low, high] is in the unit of `minimum`, the least effect worth an alarm; `p` is of H0: effect <= minimum, held
    against `alpha`. A monitor that was not judged has no p (or no effect) and says why in `note`.
    """

    monitor: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    minimum: float | None = None
    p: float | None = None
    alpha: float | None = None
    alarm: bool = False
    n_reference: int = 0
    n_window: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class LookRow:
    """One look at a champion's traffic: a row of ledger_looks. `report` is the address of the page that was written then."""

    number: int
    at: str
    start: str
    end: str
    rows: int
    findings: tuple[FindingRow, ...]
    version: str = ""
    report: str = ""

    @property
    def alarms(self) -> tuple[FindingRow, ...]:
        return tuple(finding for finding in self.findings if finding.alarm)


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """A word, class, language or bin of length: its share in the reference and in the window, as drift.frequency_shift gives it.

    `log_odds` above zero: more now. `changed`: beyond chance, after correction over all names asked about.
    """

    name: str
    n_reference: int
    n_window: int
    reference: float
    window: float
    reference_low: float | None = None
    reference_high: float | None = None
    window_low: float | None = None
    window_high: float | None = None
    log_odds: float | None = None
    p: float | None = None
    changed: bool = False


@dataclass(frozen=True, kw_only=True)
class WordChanges:
    """Words that became more and less frequent (drift.frequency_shift.Changes), the surest first."""

    more: tuple[ChangeRow, ...] = ()
    less: tuple[ChangeRow, ...] = ()
    tested: int = 0
    rate: float = 0.05
    least: float = 1.5
    texts_reference: int = 0
    texts_window: int = 0
    rows_window: int | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A text of the window, redacted as logged. `distance` and `nearest` (a text of the reference) say how unlike it is."""

    text: str
    id: str = ""
    time: str = ""
    prediction: str = ""
    score: float | None = None
    distance: float | None = None
    copies: int = 1
    nearest: str = ""


@dataclass(frozen=True, kw_only=True)
class GrowthRow:
    """A kind of text that became more frequent: typical ones of the window, and the shares of distinct texts of this kind."""

    examples: tuple[Example, ...]
    n: int
    window: float
    reference: float
    nearest: str = ""


@dataclass(frozen=True, kw_only=True)
class NovelTextRows:
    """Texts of the window unlike the reference (drift.novelty): the share beyond 99 in 100 of the reference's, and examples."""

    share: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float = 0.01
    strangers: tuple[Example, ...] = ()
    growths: tuple[GrowthRow, ...] = ()
    n_window: int = 0


@dataclass(frozen=True, kw_only=True)
class Level:
    """The primary metric at one time. `kind`: test (at release), audit (labels drawn at random) or estimate (before labels)."""

    at: str
    value: float | None
    kind: Literal["test", "audit", "estimate"]
    low: float | None = None
    high: float | None = None
    n: int = 0
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class FeedbackCounts:
    """What came back on a version's answers. `audits` were drawn at random to be labelled, `audited` of them were."""

    version: str = ""
    answers: int = 0
    audits: int = 0
    audited: int = 0
    labels: int = 0
    up: int = 0
    down: int = 0
    corrections: int = 0


@dataclass(frozen=True, kw_only=True)
class RequestStory:
    """A retraining asked for and what became of it: a row of ledger_requests. `note` says why it was refused or joined another.

    `why`: drift, decay, new-data, schedule, person. `state`: running, done, coalesced, refused, waiting, failed. `version` is what
    the run registered, `verdict` the gate's on it, `report` its page. Where an alarm asked: the `look`, its page, its `monitors`.
    """

    at: str
    why: str
    state: str
    id: str = ""
    look: str = ""
    look_report: str = ""
    monitors: tuple[str, ...] = ()
    note: str = ""
    run_id: str = ""
    verdict: str = ""
    version: str = ""
    report: str = ""


@dataclass(frozen=True, kw_only=True)
class LookReport:
    """One look's page. `looks`: all of this champion, oldest first; the last one is what the page is about.

    `look_of_year` counts this champion's looks of the last 52 weeks, what alpha is spent by; `alpha` is the chance of any false
    alarm per champion and year. `served_since`: when this version became champion. What is None or empty is left out.
    """

    pipeline: str
    problem: str
    created: str
    version: str
    looks: tuple[LookRow, ...]
    looks_per_year: int
    alpha: float
    look_of_year: int | None = None
    min_rows: int | None = None
    served_since: str = ""
    metric: str = "accuracy"
    unit: Unit = "share"
    words: WordChanges | None = None
    texts: NovelTextRows | None = None
    classes: tuple[ChangeRow, ...] = ()
    languages: tuple[ChangeRow, ...] = ()
    lengths: tuple[ChangeRow, ...] = ()
    levels: tuple[Level, ...] = ()
    feedback: FeedbackCounts | None = None
    requests: tuple[RequestStory, ...] = ()
    notices: tuple[str, ...] = ()
    next_command: str | None = None
    model_report: str = ""
    history: str = ""
    format: int = 1


def look_of(number: int, at: str, payload: Mapping[str, Any]) -> LookRow:
    """A look from a row of ledger_looks: its number, its time and its payload; keys that this version does not know are left."""
    known = FindingRow.__dataclass_fields__
    findings = tuple(
        FindingRow(**{name: value for name, value in finding.items() if name in known}) for finding in payload["findings"]
    )
    start, end = payload["window"]
    return LookRow(
        number=number,
        at=at,
        start=start,
        end=end,
        rows=payload["rows"],
        findings=findings,
        version=str(payload.get("version") or ""),
        report=payload.get("report") or "",
    )


def to_json(watch: LookReport) -> str:
    """As JSON; a number that is not finite becomes null, which the page shows as absent."""
    return dump_page(watch)


def from_json(text: str | bytes) -> LookReport:
    """The look of a stored watch.json, less the fields that this version does not know. Raises InputError on anything else."""
    return load_page(LookReport, text, "look", "give the watch.json that a monitor wrote")
