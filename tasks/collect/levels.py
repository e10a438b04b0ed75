"""How well a champion answers over time, as plain values: by its test, by audits, and as its confidence predicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from tasks.reference import TrafficReference
from tasks.report.monitor import data as page
from tasks.stats.intervals import wilson

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


def audited_levels(looks: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[page.Level, ...]:
    """The accepted share of written answers in audits, look by look; nothing at release measured the same."""
    return tuple(page.Level(at=at, kind="audit", **payload["accepted"]) for at, payload in looks if payload.get("accepted"))


def level_of(was: float, effect: float, low: float, high: float, alpha: float | None) -> tuple[float, float]:
    """A loss with its band at a look's tiny alpha, as a level with the 95 % interval that readers expect; normal law."""
    usual = NormalDist().inv_cdf(0.975) / NormalDist().inv_cdf(1 - alpha) if alpha else 1.0
    return max(0.0, was - effect - (high - effect) * usual), min(1.0, was - effect + (effect - low) * usual)
