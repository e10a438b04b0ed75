"""Adds the findings of chunks up into one outcome per expectation, and the outcomes into one validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from expectations.suites import Check
from expectations.types import Outcome, Stage, Validation

if TYPE_CHECKING:
    from expectations.engine import CheckResult

MISSING_PARTS = {
    "token_lengths": "no tokenizer was given",
    "unknown_shares": "no tokenizer was given",
    "label_shares": "there is no earlier snapshot to compare with",
    "vocabulary": "there is no earlier snapshot to compare with",
    "languages": "no languages were named",
}
SHOWN_IDS = 20


@dataclass
class CheckTotal:
    """One expectation's findings so far."""

    success: bool = True
    checked: int = 0
    failing: int = 0
    is_rows: bool = False
    observed: object = None
    details: str | None = None
    error: str | None = None
    ids: list[str] = field(default_factory=list)

    def add(self, finding: CheckResult) -> None:
        self.checked += finding.checked
        self.failing += len(finding.failing)
        self.is_rows = self.is_rows or finding.is_rows
        if finding.error is not None and self.error is None:
            self.error = finding.error
        if self.observed is None or not finding.success:
            self.observed, self.details = finding.observed, finding.details
        self.success = self.success and finding.success


@dataclass
class ValidationState:
    """The state of one validation: `lacking` names, per check, the part of the context that is missing.

    `quarantined` are rows of the source, `refused` of feedback, each with its reasons.
    """

    checks: dict[int, Check]
    lacking: dict[int, str]
    rows: int = 0
    sums: dict[int, CheckTotal] = field(default_factory=dict)
    quarantined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, findings: Mapping[int, CheckResult], frame: pd.DataFrame) -> None:
        """Adds the findings of one frame, whose index labels the failing rows."""
        for n, finding in findings.items():
            total = self.sums.setdefault(n, CheckTotal())
            total.add(finding)
            if self.checks[n].action == "quarantine" and finding.failing:
                _note_reasons(self.quarantined, self.checks[n], frame.loc[list(finding.failing)])
            total.ids += _ids(frame.loc[list(finding.failing[: SHOWN_IDS - len(total.ids)])])

    def set_aside(self, findings: Mapping[int, CheckResult], frame: pd.DataFrame) -> None:
        """Refuses the rows of feedback that fail, and all of them where a check could not be computed."""
        for n, finding in findings.items():
            _note_reasons(self.refused, self.checks[n], frame if finding.error is not None else frame.loc[list(finding.failing)])

    def validation(self, stage: Stage, max_quarantined: float) -> Validation:
        outcomes = tuple(self._outcome(n) for n in sorted(self.checks))
        stopped = tuple(o.reason for o in outcomes if o.action != "warn" and not o.success and _stops_run(o))
        stopped += self._too_few(max_quarantined)
        warnings = tuple(o.reason for o in outcomes if not o.success and o.action == "warn")
        aside = {**self.quarantined, **self.refused}
        return Validation(stage, self.rows, not stopped, outcomes, aside, stopped, warnings, None)

    def _outcome(self, n: int) -> Outcome:
        check, total = self.checks[n], self.sums.get(n)
        if n in self.lacking or total is None:
            reason = MISSING_PARTS[self.lacking[n]] if n in self.lacking else "there are no rows"
            return _outcome(
                check, CheckTotal(), success=True, evaluated=False, reason=f"{_check_title(check)}: not checked, {reason}."
            )
        success = total.error is None and (_meets_mostly(total, check) if total.is_rows else total.success)
        return _outcome(check, total, success=success, evaluated=total.error is None, reason=_reason(check, total, success))

    def _too_few(self, max_quarantined: float) -> tuple[str, ...]:
        if self.rows == 0:
            return ("There are no rows: check data.source and data.window.",)
        out = len(self.quarantined)
        counts = f"{out:,} of {self.rows:,} rows ({out / self.rows:.2%})"
        if out >= self.rows:
            return (f"All rows fail: {counts} would be quarantined, so nothing is left; correct the data or the suite.",)
        if out / self.rows > max_quarantined:
            limit = f"the contract allows {max_quarantined:.2%}"
            return (f"{counts} would be quarantined, {limit}: correct the data, or raise contract.max_quarantined.",)
        return ()


def _note_reasons(aside: dict[str, tuple[str, ...]], check: Check, rows: pd.DataFrame) -> None:
    for name, reason in zip(_ids(rows), _reasons(check, rows), strict=True):
        earlier = aside.get(name, ())
        if reason not in earlier:
            aside[name] = (*earlier, reason)


def _ids(rows: pd.DataFrame) -> list[str]:
    """The rows' ids; where one is missing, the row's number, counted from 1."""
    names = rows["id"] if "id" in rows else pd.Series(None, index=rows.index, dtype=object)
    return [f"row {label + 1}" if pd.isna(name) else str(name) for label, name in zip(rows.index, names, strict=True)]


def _stops_run(outcome: Outcome) -> bool:
    """Whether it stops the run: it is set to, or it was to quarantine rows and could not be computed."""
    return outcome.action == "stop" or not outcome.evaluated


def _meets_mostly(total: CheckTotal, check: Check) -> bool:
    allowed = (1.0 - float(check.kwargs.get("mostly", 1.0))) * total.checked
    return total.failing <= allowed + 1e-9


def _reasons(check: Check, rows: pd.DataFrame) -> list[str]:
    reason = f"{check.suite}: {check.words}"
    if check.type != "expect_equal_texts_to_have_one_target":
        return [reason] * len(rows)
    text, target = check.kwargs.get("column_A", "text"), check.kwargs.get("column_B", "target")
    labels = rows.groupby(text)[target].agg(lambda values: ", ".join(sorted({str(v) for v in values})[:5]))
    return [f"{reason} (found: {labels[key]})" for key in rows[text]]


def _check_title(check: Check) -> str:
    return f"{check.suite}: {check.words.rstrip('.')}"


def _reason(check: Check, total: CheckTotal, success: bool) -> str:
    if total.error is not None:
        return f"{_check_title(check)}: not checked, {total.error}; correct the data's columns or {check.where}."
    if total.is_rows:
        verb = "fails" if total.failing == 1 else "fail"
        share = total.failing / total.checked if total.checked else 0.0
        return f"{_check_title(check)}: {total.failing:,} of {total.checked:,} rows ({share:.2%}) {verb}."
    observed = "" if total.observed is None else f", observed {_observed_text(total)}"
    return (
        f"{_check_title(check)}: {'holds' if success else 'does not hold'}{observed}{_bounds_text(check) if not success else ''}."
    )


def _observed_text(total: CheckTotal) -> str:
    value = total.observed
    observed = f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else _shorten_text(value)
    return f"{observed} ({total.details})" if total.details else observed


def _shorten_text(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _bounds_text(check: Check) -> str:
    bounds = [f"{k} {check.kwargs[k]}" for k in ("min_value", "max_value") if check.kwargs.get(k) is not None]
    return f" ({', '.join(bounds)})" if bounds else ""


def _outcome(check: Check, total: CheckTotal, *, success: bool, evaluated: bool, reason: str) -> Outcome:
    observed = None if total.observed is None else _observed_text(total)
    return Outcome(
        check.suite, check.type, check.words, check.column, check.action, success, evaluated, observed, total.failing,
        total.checked if total.is_rows else 0, tuple(total.ids), reason,
    )  # fmt: skip
