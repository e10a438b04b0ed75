"""The face of the gate: scores on disk to evidence, evidence to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.data.label_sets import labels_of, rows_by_label
from tasks.evaluate import AllScores, groups_of, measure_of, primary_of
from tasks.gate.evidence import Evidence, Verdict
from tasks.gate.gate import describe_adopted as account
from tasks.gate.gate import judge_challenger as judge
from tasks.snapshots import open_snapshot
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tasks.data.preparation.deduplicate import Signatures

DAY = np.timedelta64(1, "D")


@task(name="decide", cache_policy=NO_CACHE)
def decide(
    pipeline: Pipeline,
    scores: AllScores,
    fair: npt.NDArray[np.bool_] | None,
    look: int,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Verdict:
    """Put the scores before the gate. `labels` are those that "champion" and "anchor" were trained on, of a classifier."""
    frame, known, sets = scores.challenger.frame, labels or {}, pipeline.facts.has_label_sets
    evidence = replace(
        _evidence(pipeline, scores),
        fair=None if fair is None else measure_of(pipeline).whole_units(frame, fair),
        look=look,
        new_to_champion=new_labels(frame, known.get("champion"), sets=sets),
        new_to_anchor=new_labels(frame, known.get("anchor"), sets=sets),
    )
    return judge(evidence.of_rows(compared_rows(evidence.challenger)), pipeline.gate)


@task(name="describe", cache_policy=NO_CACHE)
def describe_adopted(pipeline: Pipeline, scores: AllScores, word: str) -> Verdict:
    """An adopted model beside the champion and the best baseline, on all test rows of the window; `word` is the adopter's."""
    evidence = _evidence(pipeline, scores)
    return account(evidence.of_rows(compared_rows(evidence.challenger)), pipeline.gate, word)


def _evidence(pipeline: Pipeline, scores: AllScores) -> Evidence:
    challenger, baselines, frame = scores.challenger, scores.baselines, scores.challenger.frame
    measure = measure_of(pipeline)
    trivial, differences = measure.trivial_baseline, measure.difference_scale(frame["target"].tolist())
    against = [primary_of(pipeline, each) if each is not None else None for each in (scores.champion, scores.anchor)]
    return Evidence(
        challenger=primary_of(pipeline, challenger),
        champion=against[0],
        anchor=against[1],
        baseline=baselines.scores[baselines.best],
        baseline_name=baselines.best,
        trivial=None if baselines.best == trivial else baselines.scores[trivial],
        trivial_name=trivial,
        groups=groups_of(challenger),
        recent=recent_rows(frame, pipeline.gate.window),
        slices=slice_columns(frame),
        classes=frame["target"].to_numpy() if pipeline.facts.has_classes else None,
        label_rows=rows_by_label(frame["target"].tolist()) if pipeline.facts.has_label_sets else {},
        metrics=challenger.metrics | (scores.added.metrics if scores.added else {}),
        added=scores.added.scores if scores.added else (),
        largest_difference=differences.largest,
        scale=differences.scale,
        are_errors=pipeline.facts.compares_errors,
    )


def compared_rows(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(n,) which rows have a primary score of their own."""
    return ~np.isnan(scores)


def fair_rows(pipeline: Pipeline, home: Home, test_of: str, signatures: Sequence[Signatures]) -> npt.NDArray[np.bool_]:
    """(n,) True where a test row is no near copy of a row in `signatures`, those of rows that either model was trained on."""
    from tasks.data.preparation.deduplicate import has_near_copy

    held_out = open_snapshot(home, test_of).signatures("test")
    fair = np.ones(len(held_out), dtype=bool)
    for rows in signatures:
        fair &= ~has_near_copy(rows, held_out, pipeline.data.deduplicate.threshold)
    return fair


def asked_alike(pipeline: Pipeline, home: Home, tracking: Tracking, test_of: str, versions: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n,) True where challenger and versions read the same answers: a placeholder may be another word to each."""
    from tasks.data.redaction.placeholders import VIEW, network_view
    from tasks.learning.network import read_spec
    from tasks.release import champion_folder

    test = open_snapshot(home, test_of).frame("test")
    if not pipeline.facts.writes_text:
        return np.ones(len(test), dtype=bool)
    folders = [champion_folder(tracking, home, pipeline.name, version) for version in versions]
    views = {VIEW, *(read_spec(folder).text_view for folder in folders)}
    answers = [name for name in measure_of(pipeline).text_columns if name != "text"]
    alike = np.ones(len(test), dtype=bool)
    for name in answers:
        read = [network_view(test[name].tolist(), view) for view in views]
        alike &= np.array([len(set(texts)) == 1 for texts in zip(*read, strict=True)], dtype=bool)
    return alike


def new_labels(frame: pd.DataFrame, known: Sequence[str] | None, *, sets: bool = False) -> npt.NDArray[np.bool_] | None:
    """(n,) True for the rows of per-example scores whose target is, or of `sets` holds, none of the `known` labels.

    None where those do not matter.
    """
    if known is None:
        return None
    if not sets:
        return ~frame["target"].isin(list(known)).to_numpy(bool)
    own = frozenset(known)
    return np.array([not own.issuperset(labels_of(target)) for target in frame["target"]], dtype=bool)


def slice_columns(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.generic]]:
    """The slice columns of per-example scores by their name in the data; a missing value is a slice of its own."""
    names = [str(name) for name in frame.columns if str(name).startswith("slice_")]
    return {name.removeprefix("slice_"): frame[name].astype(str).to_numpy() for name in names}


def recent_rows(frame: pd.DataFrame, days: int | None) -> Any:
    """The rows of the last `days` before the newest one; rows without a time are old."""
    if days is None or frame["time"].isna().all():
        return None
    return (frame["time"] >= frame["time"].max() - days * DAY).to_numpy()
