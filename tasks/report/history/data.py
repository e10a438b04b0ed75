"""The life of one model, as plain frozen values: history.json beside the page."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.report.monitor.data import FeedbackCounts, Level, RequestStory
from tasks.report.run.rows import Unit
from tasks.report.stored import dump_page, load_page


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version and the verdict on it: the outcome that `retrain --json` prints, kept as the decision's payload.

    `at`: when it was decided. `value` with [low, high]: the primary metric on its test rows. `against`: the champion then.
    """

    version: str
    at: str
    verdict: str
    reasons: tuple[str, ...] = ()
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    against: str = ""
    against_value: float | None = None
    look: int | None = None
    run_id: str = ""
    snapshot: str = ""
    train_key: str = ""
    why: str = ""
    report: str = ""
    training_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class MoveRow:
    """A row of the ledger: the fields of tasks.ledger.replay.Entry that a reader needs, by the same names.

    `kind`: FIRST, PROMOTE, ROLLBACK, EXTERNAL; `state`: intended, applied, abandoned. None is no champion at all.
    """

    epoch: int
    kind: str
    from_version: str | None
    to_version: str | None
    at: str
    who: str = ""
    reason: str = ""
    verdict: str | None = None
    rule: str | None = None
    run_id: str | None = None
    forced: bool = False
    state: str = "applied"


@dataclass(frozen=True, kw_only=True)
class LookMark:
    """One look of the monitors in short; `alarms` names the monitors that raised one."""

    version: str
    number: int
    at: str
    rows: int = 0
    alarms: tuple[str, ...] = ()
    report: str = ""


@dataclass(frozen=True, kw_only=True)
class History:
    """What is known of a model. Rows oldest first; what is empty is left out of the page."""

    pipeline: str
    problem: str
    created: str
    champion: str | None
    versions: tuple[Version, ...] = ()
    moves: tuple[MoveRow, ...] = ()
    looks: tuple[LookMark, ...] = ()
    levels: tuple[Level, ...] = ()
    feedback: tuple[FeedbackCounts, ...] = ()
    requests: tuple[RequestStory, ...] = ()
    metric: str = "accuracy"
    unit: Unit = "share"
    higher_is_better: bool = True
    notices: tuple[str, ...] = ()
    next_command: str | None = None
    format: int = 1


def to_json(history: History) -> str:
    """As JSON; a number that is not finite becomes null, which the page shows as absent."""
    return dump_page(history)


def from_json(text: str | bytes) -> History:
    """The stored history.json, less the fields that this version does not know. Raises InputError on anything else."""
    return load_page(History, text, "history", "give the history.json that `tunekeeper history` wrote")
