"""What a look's page shows, as plain values: the looks so far, what changed most, how well it answers, what was done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import Pipeline
from tasks.collect.links import history_page, look_page, report_of_version, report_page
from tasks.drift.frequency_shift import Changes, changed_shares, changed_words, word_counts
from tasks.drift.monitors import Finding
from tasks.drift.novelty import NEIGHBOUR, novel_texts
from tasks.ledger.decisions import Decision, decisions_of
from tasks.ledger.monitor_runs import Look, all_looks
from tasks.ledger.promotions import ledger_history
from tasks.ledger.retrain_requests import RequestRow, requests_of
from tasks.monitor import TrafficWindow
from tasks.reference import TrafficReference
from tasks.report.monitor import data as page
from tasks.stats.intervals import wilson

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ledger.promotions import Ledger
    from tasks.tracking.client import Tracking

LENGTHS = (5, 10, 20, 40, 80)  # words: the edges of the page's bins
TYPICAL = 3
SAID = {"note": "reason", "run_id": "run_id", "verdict": "verdict", "version": "version"}  # a page's words for a request's


@dataclass(frozen=True)
class Around:
    """What stands around a look: since when its champion serves, the looks before it, what was asked for, said, and drawn."""

    since: str
    earlier: tuple[page.LookRow, ...]
    audited: tuple[page.Level, ...]  # what audits said at those, of written answers
    requests: tuple[page.RequestStory, ...]
    notices: tuple[str, ...]
    model_report: str
    history: str


def state_at_look(
    tracking: Tracking, ledger: Ledger, model: str, version: str, earlier: Sequence[Look], end: datetime, notices: Sequence[str]
) -> Around:
    """As the ledger tells it, at a look that ends at `end`."""
    decisions = decisions_of(ledger, model)
    return Around(
        since=next((entry.at for entry in reversed(ledger_history(ledger, model)) if entry.to_version == version), ""),
        earlier=tuple(page.look_of(each.look, each.at, {**each.payload, "report": look_page(tracking, each)}) for each in earlier),
        audited=_audited((each.at, each.payload) for each in earlier),
        requests=requests_of_page(tracking, recent_requests(requests_of(ledger, model), end), all_looks(ledger, model), decisions),
        notices=tuple(notices),
        model_report=report_of_version(tracking, decisions, version),
        history=history_page(tracking, model),
    )


def collect_look(
    pipeline: Pipeline,
    version: str,
    beside: Around,
    reference: TrafficReference,
    seen: TrafficWindow,
    findings: tuple[Finding, ...],
    look_of_year: int,
    feedback: pd.DataFrame,
) -> page.LookReport:
    """The page of a look that is about to be recorded."""
    now = seen.end.astimezone(UTC).isoformat(timespec="seconds")
    number = (beside.earlier[-1].number if beside.earlier else 0) + 1
    said = payload_of(pipeline, version, seen, findings)
    this = page.look_of(number, now, said)
    looks = (*beside.earlier, this)
    classifies = pipeline.facts.has_labels
    return page.LookReport(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        looks=looks,
        looks_per_year=pipeline.monitor.looks_per_year,
        alpha=pipeline.monitor.alpha,
        look_of_year=look_of_year,
        metric="accuracy" if classifies else "accepted_answers",
        min_rows=pipeline.monitor.min_rows,
        served_since=beside.since,
        words=_words(reference, seen),
        texts=_texts(reference, seen),
        classes=_shares(reference.rows, seen.rows, "prediction") if classifies else (),
        languages=_shares(reference.rows, seen.rows, "language"),
        lengths=_lengths(reference.rows, seen.rows),
        levels=_levels(reference, looks, beside.since) if classifies else (*beside.audited, *_audited([(now, said)])),
        feedback=feedback_of(version, seen.rows, feedback),
        requests=beside.requests,
        notices=beside.notices,
        next_command="tunekeeper retrain CONFIG" if this.alarms else None,
        model_report=beside.model_report,
        history=beside.history,
    )


def payload_of(pipeline: Pipeline, version: str, seen: TrafficWindow, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """What the ledger keeps of a look."""
    window = [each.astimezone(UTC).isoformat(timespec="milliseconds") for each in (seen.start, seen.end)]
    kept = {"version": version, "rows": len(seen.rows), "window": window, "findings": [one.plain() for one in findings]}
    return kept if pipeline.facts.has_labels else {**kept, "accepted": acceptance_rate(seen.rows)}


def acceptance_rate(rows: pd.DataFrame) -> dict[str, float] | None:
    """The share of audited answers that needed no correction, with its 95 % interval, or None where none was audited.

    Each by the inverse of the probability with which it was drawn; answers to one text are one event told often.
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


def requests_of_page(
    tracking: Tracking, requests: Iterable[RequestRow], looks: Iterable[Look], decisions: Iterable[Decision]
) -> tuple[page.RequestStory, ...]:
    """Requests for a retraining as the pages show them, each with the look that asked for it and the report of what it led to."""
    seen, decided = {each.name: each for each in looks}, {each.decision_key: each for each in decisions}
    return tuple(
        _request(tracking, each, seen.get(each.payload.get("look", "")), decided.get(each.payload.get("decision_key", "")))
        for each in requests
    )


def _request(tracking: Tracking, request: RequestRow, look: Look | None, decision: Decision | None) -> page.RequestStory:
    said = request.payload
    return page.RequestStory(
        at=said.get("asked") or request.at,
        why=request.why,
        state=request.state,
        id=request.id,
        look="" if look is None else f"look {look.look} of version {look.champion_version}",
        look_report="" if look is None else look_page(tracking, look),
        monitors=() if look is None else alarms_of(look),
        report=report_page(tracking, decision),
        **{name: str(said.get(key) or "") for name, key in SAID.items()},
    )


def alarms_of(look: Look) -> tuple[str, ...]:
    """The monitors that spoke."""
    return tuple(one["monitor"] for one in look.payload["findings"] if one["alarm"])


def feedback_of(version: str, answered: pd.DataFrame, feedback: pd.DataFrame) -> page.FeedbackCounts:
    """What came back on these answers, counted."""
    on = feedback[feedback["answer_id"].isin(answered["id"])]
    thumbs = on.loc[on["kind"] == "thumb", "value"].value_counts()
    labels = on[on["kind"] == "label"]
    return page.FeedbackCounts(
        version=version,
        answers=len(answered),
        audits=int(answered["audit"].sum()),
        audited=int(answered.loc[answered["audit"], "id"].isin(labels.loc[labels["source"] == "audit", "answer_id"]).sum()),
        labels=len(labels),
        up=int(thumbs.get("up", 0)),
        down=int(thumbs.get("down", 0)),
        corrections=int((on["kind"] == "correction").sum()),
    )


def _words(reference: TrafficReference, seen: TrafficWindow) -> page.Words:
    found: Changes = changed_words(word_counts(reference.rows["text"]), word_counts(seen.rows["text"]))
    more, less = (tuple(page.ChangeRow(**asdict(one)) for one in side) for side in (found.more, found.less))
    return page.Words(
        more=more, less=less, tested=found.tested, rate=found.rate, least=found.least, texts_reference=found.texts_reference,
        texts_window=found.texts_window, rows_window=len(seen.rows),
    )  # fmt: skip


def _texts(reference: TrafficReference, seen: TrafficWindow) -> page.NovelTextRows | None:
    if len(reference.rows["text"].drop_duplicates()) <= NEIGHBOUR or not len(seen.rows):
        return None
    found = novel_texts(reference.points, seen.points)
    old = reference.rows["text"].tolist()

    def example(row: int, **more: Any) -> page.Example:
        line = seen.rows.iloc[row]
        score = None if line["score"] != line["score"] else float(line["score"])
        return page.Example(
            text=line["text"], id=line["id"], time=line["time"].isoformat(), prediction=line["prediction"], score=score, **more
        )

    return page.NovelTextRows(
        share=found.share,
        low=found.low,
        high=found.high,
        expected=found.expected,
        strangers=tuple(
            example(one.row, distance=one.distance, copies=one.copies, nearest=old[one.nearest]) for one in found.strangers
        ),
        growths=tuple(
            page.GrowthRow(
                examples=tuple(example(row) for row in one.typical[:TYPICAL]), n=one.n, window=one.window, reference=one.reference,
                nearest=old[one.nearest],
            )
            for one in found.growths
        ),
        n_window=found.n_window,
    )  # fmt: skip


def _shares(old: pd.DataFrame, new: pd.DataFrame, column: str) -> tuple[page.ChangeRow, ...]:
    return _changes(*(_distinct(frame)[column] for frame in (old, new)))


def _lengths(old: pd.DataFrame, new: pd.DataFrame) -> tuple[page.ChangeRow, ...]:
    names = [f"up to {edge - 1} words" for edge in LENGTHS] + [f"{LENGTHS[-1]} words or more"]
    names[1:-1] = [f"{low} to {high - 1} words" for low, high in pairwise(LENGTHS)]
    binned = [[names[int(place)] for place in np.digitize(_distinct(frame)["length"], LENGTHS)] for frame in (old, new)]
    found = {one.name: one for one in _changes(*binned)}
    return tuple(found[name] for name in names if name in found)


def _changes(old: Iterable[str], new: Iterable[str]) -> tuple[page.ChangeRow, ...]:
    return tuple(page.ChangeRow(**asdict(one)) for one in changed_shares(Counter(old), Counter(new)))


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop_duplicates("text")


def _levels(reference: TrafficReference, looks: Sequence[page.LookRow], since: str) -> tuple[page.Level, ...]:
    """Accuracy over time: the test's at release, then what audits say of it, and what confidence foretells."""
    known = reference.rows["correct"].dropna()
    if not len(known):
        return ()
    was = float(known.mean())
    low, high = wilson(int(known.sum()), len(known))
    levels = [page.Level(at=since or looks[0].at, value=was, kind="test", low=float(low), high=float(high), n=len(known))]
    for look in looks:
        for one in look.findings:
            kind = {"performance.accuracy": "audit", "performance.estimate": "estimate"}.get(one.monitor)
            if kind is not None and one.effect is not None and one.low is not None and one.high is not None:
                least, most = level_of(was, one.effect, one.low, one.high, one.alpha)
                levels.append(page.Level(at=look.at, value=was - one.effect, kind=kind, n=one.n_window, low=least, high=most))  # type: ignore[arg-type]
    return tuple(levels)


def _audited(looks: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[page.Level, ...]:
    """What audits said of written answers, look by look; nothing at release measured the same."""
    return tuple(page.Level(at=at, kind="audit", **said["accepted"]) for at, said in looks if said.get("accepted"))


def level_of(was: float, effect: float, low: float, high: float, alpha: float | None) -> tuple[float, float]:
    """A loss with its band at a look's tiny alpha, as a level with the 95 % interval that readers expect; normal law."""
    usual = NormalDist().inv_cdf(0.975) / NormalDist().inv_cdf(1 - alpha) if alpha else 1.0
    return max(0.0, was - effect - (high - effect) * usual), min(1.0, was - effect + (effect - low) * usual)


def recent_requests(requests: Sequence[RequestRow], now: datetime, days: float = 60) -> tuple[RequestRow, ...]:
    """The requests that a look's page has room for."""
    return tuple(each for each in requests if datetime.fromisoformat(each.at) > now - timedelta(days=days))
