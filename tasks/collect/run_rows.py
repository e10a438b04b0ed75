"""What single test rows, classes and slices show, as the plain values of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import EXACT_MATCH, Pipeline
from tasks.decide import compared_rows, slice_columns
from tasks.evaluate import groups_of, primary_of
from tasks.gate.calibration import reliability_bins
from tasks.gate.slices import by_slice, recall_by_class
from tasks.report.run import rows as page
from tasks.snapshots import open_snapshot
from tasks.stats.intervals import mean_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from tasks.answered_rows import AddedFindings
    from tasks.collect.run import Findings
    from tasks.common.home import Home

WORST = 20
NONE = "no label"
MOST_POINTS = 500  # of a plot


def unit_of(pipeline: Pipeline) -> page.Unit:
    """The unit of what the gate compares."""
    return pipeline.facts.primary.unit


def class_scores(findings: Findings) -> tuple[page.ClassRow, ...]:
    from tasks.problems.metrics import per_class

    frame = findings.challenger.frame
    labels = sorted({*frame["target"], *frame["prediction"]})
    code = {label: place for place, label in enumerate(labels)}
    targets, predictions = (np.array([code[label] for label in frame[name]]) for name in ("target", "prediction"))
    recalls = recall_by_class(frame["correct"], frame["target"].to_numpy(), groups_of(findings.challenger))
    recall = {score.value: score for score in recalls}
    champion = {} if findings.champion is None else findings.champion.frame.groupby("target")["correct"].mean().to_dict()
    return tuple(
        page.ClassRow(
            name=row.label, n=row.support, recall=recall[row.label].mean, precision=row.precision, f1=row.f1,
            low=recall[row.label].low, high=recall[row.label].high, champion=champion.get(row.label),
        )
        for row in per_class(targets, predictions, labels) if row.support
    )  # fmt: skip


def label_scores(findings: Findings) -> tuple[page.ClassRow, ...]:
    """Recall, with its interval, precision and F1 of each label that a test row has, where targets are sets."""
    from tasks.data.label_sets import all_labels, label_flags
    from tasks.problems.metrics.multi_label import label_scores as scores_of

    frame, groups = findings.challenger.frame, groups_of(findings.challenger)
    labels = all_labels(frame["target"])
    targets, answers = (label_flags(frame[name], labels) for name in ("target", "prediction"))
    theirs = None if findings.champion is None else label_flags(findings.champion.frame["prediction"], labels)
    precision, recall, f1 = scores_of(targets, answers)
    class_rows = []
    for place, label in enumerate(labels):
        there = targets[:, place]
        own = [group for group, is_there in zip(groups, there, strict=True) if is_there] if groups else None
        interval = mean_interval(answers[there, place].astype(float), own)
        class_rows.append(
            page.ClassRow(
                name=label, n=int(there.sum()), recall=float(recall[place]), precision=float(precision[place]), f1=float(f1[place]),
                low=interval.low, high=interval.high, champion=None if theirs is None else float(theirs[there, place].mean()),
            )
        )  # fmt: skip
    return tuple(class_rows)


def worst_label_sets(findings: Findings, home: Home) -> tuple[page.WorstError, ...]:
    """The rows whose sets of labels are answered worst, of equally bad ones those that the model was surest of."""
    from tasks.data.label_sets import labels_of

    frame = findings.challenger.frame
    wrong = frame[frame["f1"] < 1].sort_values(["f1", "confidence"], ascending=[True, False], kind="stable").head(WORST)
    texts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    return tuple(
        page.WorstError(
            id=row.id, text=texts[row.id], target=", ".join(labels_of(row.target)) or NONE,
            prediction=", ".join(labels_of(row.prediction)) or NONE, confidence=float(row.confidence),
        )
        for row in _rows(wrong)
    )  # fmt: skip


def slice_scores(findings: Findings) -> tuple[page.SliceRow, ...]:
    frame = findings.challenger.frame
    scores = primary_of(findings.pipeline, findings.challenger)
    compared = compared_rows(scores)
    columns = {name: values[compared] for name, values in slice_columns(frame).items()}
    if not columns:
        return ()
    groups = None if (every := groups_of(findings.challenger)) is None else list(np.array(every, dtype=object)[compared])
    sign = -1 if findings.pipeline.facts.compares_errors else 1  # errors, of which less is better
    ours = by_slice(sign * scores[compared], columns, groups)
    champion_scores = None if findings.champion is None else primary_of(findings.pipeline, findings.champion)[compared]
    theirs = () if champion_scores is None else by_slice(sign * champion_scores, columns)
    champion = {(score.name, score.value): score.mean for score in theirs}
    outcomes = {comparison.name: comparison.outcome for comparison in findings.verdict.comparisons if comparison.rule == "guard"}
    unit = unit_of(findings.pipeline)
    return tuple(
        page.SliceRow(
            column=score.name, name=score.value, n=score.n, value=score.mean, low=score.low, high=score.high,
            champion=champion.get((score.name, score.value)), outcome=outcomes.get(f"slice {score.name}={score.value}", ""),
            unit=unit,
        )
        for score in ours
    )  # fmt: skip


def confusion_of(frame: pd.DataFrame) -> page.Confusion:
    import pandas as pd

    labels = sorted({*frame["target"], *frame["prediction"]})
    table = pd.crosstab(frame["target"], frame["prediction"]).reindex(index=labels, columns=labels, fill_value=0)
    return page.Confusion(labels=tuple(labels), counts=tuple(tuple(int(n) for n in row) for row in table.to_numpy()))


def calibration_of(findings: Findings) -> page.Calibration:
    frame = findings.challenger.frame
    curve = reliability_bins(frame["confidence"], frame["correct"])
    bins = tuple(
        page.CalibrationBin(
            low=float(curve.lower_edge[place]),
            high=float(curve.upper_edge[place]),
            n=int(curve.count[place]),
            confidence=float(curve.confidence[place]),
            accuracy=float(curve.accuracy[place]),
            accuracy_low=float(curve.low[place]),
            accuracy_high=float(curve.high[place]),
        )
        for place in range(len(curve.count))
    )
    theirs = None if findings.champion is None else findings.champion.metrics.get("expected_calibration_error")
    return page.Calibration(bins=bins, ece=float(curve.error), champion_ece=theirs)


def worst_errors(findings: Findings, home: Home) -> tuple[page.WorstError, ...]:
    frame = findings.challenger.frame
    wrong = frame[frame["correct"] == 0].nlargest(WORST, "confidence")
    texts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    return tuple(
        page.WorstError(
            id=row.id, text=texts[row.id], target=row.target, prediction=row.prediction, confidence=float(row.confidence)
        )
        for row in _rows(wrong)
    )


def number_fit(findings: Findings, home: Home) -> page.NumberFit:
    """Predictions beside targets, and the rows that are furthest off."""
    frame = findings.challenger.frame
    targets, predictions = (frame[name].astype(float) for name in ("target", "prediction"))
    drawn = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), MOST_POINTS)).astype(int))
    texts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    worst = frame.loc[(predictions - targets).abs().nlargest(WORST).index]
    return page.NumberFit(
        points=tuple((float(targets.iloc[row]), float(predictions.iloc[row])) for row in drawn),
        worst=tuple(
            page.NumberError(id=row.id, text=texts[row.id], target=float(row.target), prediction=float(row.prediction))
            for row in _rows(worst)
        ),
    )


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows with their columns as attributes, of any type."""
    return frame.itertuples()


def worst_generations(findings: Findings, home: Home) -> tuple[page.Generation, ...]:
    """Of the answers that were written, those to rows whose reference was least likely to the model: the worst first."""
    frame = findings.challenger.frame
    frame = frame.assign(likelihood=frame["log_likelihood"] / frame["tokens"])
    worst = frame[frame["prediction"].notna()].nsmallest(WORST, "likelihood")
    prompts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    exact, shown_metrics = EXACT_MATCH.name, [metric.name for metric in findings.pipeline.facts.metrics if metric.name in frame]
    return tuple(
        page.Generation(
            id=row.id, prompt=prompts[row.id], reference=row.target, output=row.prediction, exact_match=bool(row.exact_match),
            scores={name: float(getattr(row, name)) for name in shown_metrics if name != exact},
            log_likelihood=float(row.likelihood),
        )
        for row in _rows(worst)
    )  # fmt: skip


def judge_summary(added: AddedFindings | None) -> page.JudgeSummary | None:
    """What the judge said, if there was one."""
    if added is None or added.judge is None:
        return None
    judge, measured = added.judge, added.judge.agreement
    agreement: dict[str, Any] = {
        "people": measured.n, "agreement": measured.share, "agreement_low": measured.low, "kappa": measured.kappa,
        "minimum": measured.minimum,
    } if measured is not None else {}  # fmt: skip
    return page.JudgeSummary(
        name=judge.name, opponent=judge.opponent, pairs=judge.pairs, wins=judge.wins, losses=judge.losses, ties=judge.ties,
        turned=judge.turned, unreadable=judge.unreadable, win_rate=judge.win_rate if judge.win_rate == judge.win_rate else None,
        counts_as=judge.counts_as, note=judge.note, **agreement,
    )  # fmt: skip


def scorer_rows(added: AddedFindings | None) -> tuple[page.ScorerRow, ...]:
    """The means of the user's own scorers."""
    metrics = added.metrics if added is not None else {}
    names = [name.removeprefix("scorer/") for name in metrics if name.startswith("scorer/") and not name.endswith("/champion")]
    values = [(name, metrics[f"scorer/{name}"], metrics.get(f"scorer/{name}/champion")) for name in names]
    return tuple(page.ScorerRow(name=name, value=value, champion=champion) for name, value, champion in values)
