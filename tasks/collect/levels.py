"""How well a champion answers over time, as plain values: by its test, by audits, and as its confidence predicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from tasks.reference import TrafficReference
from tasks.report.monitor import data as page
from tasks.stats.intervals import mean_interval, ratio_interval, wilson

if TYPE_CHECKING:
    import pandas as pd


def acceptance_rate(rows: pd.DataFrame) -> dict[str, float] | None:
    """The share of audited answers that needed no correction, with its 95 % interval, or None where none was audited.

    Each counts by the inverse of the probability with which it was drawn; answers to one text are one repeated event.
    """
    audited = rows[rows["audit"] & rows["correct"].notna() & (rows["audit_probability"] > 0)]
    if audited.empty:
        return None
    weight = 1 / audited["audit_probability"]
    value = float((weight * audited["correct"]).sum() / weight.sum())
    by_text = weight.groupby(audited["text"]).sum()
    effective = float(by_text.sum() ** 2 / (by_text**2).sum())
    low, high = wilson(value * effective, effective)
    return {"value": value, "low": float(low), "high": float(high), "n": len(audited)}


def accuracy_levels(reference: TrafficReference, looks: Sequence[page.LookRow], since: str) -> tuple[page.Level, ...]:
    """Accuracy over time: the test's at release, then the audited and the one that confidence predicts."""
    known = reference.rows["correct"].dropna()
    if not len(known):
        return ()
    was = float(known.mean())
    low, high = wilson(int(known.sum()), len(known))
    levels = [page.Level(at=since or looks[0].at, value=was, kind="test", low=float(low), high=float(high), n=len(known))]
    for look in looks:
        for finding in look.findings:
            kind = {"performance.accuracy": "audit", "performance.estimate": "estimate"}.get(finding.monitor)
            effect, n = finding.effect, finding.n_window
            if kind is not None and effect is not None and finding.low is not None and finding.high is not None:
                least, most = level_of(was, effect, finding.low, finding.high, finding.alpha)
                levels.append(page.Level(at=look.at, value=was - effect, kind=kind, n=n, low=least, high=most))  # type: ignore[arg-type]
    return tuple(levels)


def mean_error(rows: pd.DataFrame) -> dict[str, float] | None:
    """The mean error of audited numbers with its 95 % interval, in their unit; None where none was audited, or one text alone.

    Each counts by the inverse of the probability with which it was drawn; answers to one text are one repeated event.
    """
    audited = rows[rows["audit"] & rows["error"].notna() & (rows["audit_probability"] > 0)]
    if audited.empty:
        return None
    weight = (1 / audited["audit_probability"]).to_numpy(float)
    interval = ratio_interval(weight * audited["error"].to_numpy(float), weight, audited["text"].tolist())
    if interval.low is None or interval.high is None:
        return None
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": len(audited)}


def error_levels(reference: TrafficReference, audited: Sequence[page.Level], since: str) -> tuple[page.Level, ...]:
    """The mean error over time: the test's at release, then those of audits."""
    known = reference.rows["error"].dropna()
    interval = mean_interval(known) if len(known) else None
    if interval is None or not audited:
        return tuple(audited)
    at_release = page.Level(
        at=since or audited[0].at, value=interval.value, kind="test", low=interval.low, high=interval.high, n=len(known)
    )
    return (at_release, *audited)


def audited_levels(looks: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[page.Level, ...]:
    """What audits measured look by look: the accepted share of written answers, or the mean error of numbers."""
    measured = ((at, payload.get("accepted") or payload.get("error")) for at, payload in looks)
    return tuple(page.Level(at=at, kind="audit", **values) for at, values in measured if values)


def level_of(was: float, effect: float, low: float, high: float, alpha: float | None) -> tuple[float, float]:
    """A loss with its band at a look's tiny alpha, as a level with the 95 % interval that readers expect; normal law."""
    usual = NormalDist().inv_cdf(0.975) / NormalDist().inv_cdf(1 - alpha) if alpha else 1.0
    return max(0.0, was - effect - (high - effect) * usual), min(1.0, was - effect + (effect - low) * usual)
