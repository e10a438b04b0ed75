"""Faces of monitoring: samples served traffic, compares it with the champion's reference, and publishes the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.audits import audit_correctness, audit_errors
from tasks.collect.links import look_artifact
from tasks.common.home import Home
from tasks.common.orchestration import create_link_artifact, create_markdown_artifact, create_table_artifact, emit_event, task
from tasks.data.text_stats import UNSURE, text_stats_of
from tasks.drift.monitors import Finding, Sample, text_codes
from tasks.drift.monitors import run_monitors as hold_against
from tasks.identity.keys import json_sha256
from tasks.ledger.monitor_runs import Look, look_name
from tasks.reference import TrafficReference
from tasks.serving.feedback_cleaning import feedback_cleaner
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tasks.report.monitor.data import FindingRow, LookReport

RESOURCE = "tunekeeper.pipeline."
PERFORMANCE = "performance."


@dataclass(frozen=True)
class TrafficWindow:
    """Answers of one champion in [start, end), one line each: as logged, their texts as the champion reads them, `correct` where an
    audit labelled them, and their traits.

    `points` (n, d) are the untuned base's embeddings.
    """

    start: datetime
    end: datetime
    rows: pd.DataFrame
    points: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LookFindings:
    """The result of a look: the traffic of its window beside the reference, the monitors' findings, and all feedback."""

    reference: TrafficReference
    seen: TrafficWindow
    findings: tuple[Finding, ...]
    feedback: pd.DataFrame


def window_answers(pipeline: Pipeline, home: Home, version: str, now: datetime) -> pd.DataFrame:
    """The champion's answers in the window's days, with the verdict of audits: `correct` is 1, 0 or NaN, `error` a number or NaN.

    A class is correct where it is the label, a written answer where the audit corrects nothing in it; a number has an error.
    Of more than `monitor.max_rows` it is a random part, with all audited answers: those were drawn at random too.
    """
    import pandas as pd

    from tasks.data.feedback import accepted_answers
    from tasks.traffic.log import Query, read_answers, read_feedback

    start, own = now - timedelta(days=pipeline.monitor.window_days), {"version": version, "origin": "predict"}
    queries = Query(start, now, values=own, most=pipeline.monitor.max_rows), Query(start, now, values=own, audits=True)
    sample, audits = (read_answers(home.path, pipeline.name, home.traffic_url, query) for query in queries)
    answers = pd.concat([sample, audits]).drop_duplicates("id").sort_values(["time", "id"], ignore_index=True)
    feedback = read_feedback(home.path, pipeline.name, home.traffic_url)
    answers["correct"], answers["error"] = np.nan, np.nan
    if pipeline.facts.is_number:
        answers["error"] = audit_errors(answers, feedback)
    elif pipeline.facts.writes_text:
        answers["correct"] = accepted_answers(answers, feedback, feedback_cleaner(pipeline, home))
    else:
        answers["correct"] = audit_correctness(pipeline, home, answers, feedback)
    if pipeline.facts.finds_answers:
        from tasks.problems.metrics.answers import answer_lengths

        answers["answer_length"] = answer_lengths(answers["prediction"].tolist(), answers["text"].tolist())
    audited = answers["correct"].notna() | answers["error"].notna()
    return answers[answers["id"].isin(sample["id"]) | audited].reset_index(drop=True)


@task(name="window", cache_policy=NO_CACHE)
def describe_window(
    pipeline: Pipeline, champion: tuple[Path, Path], reference: TrafficReference, found: pd.DataFrame, now: datetime
) -> TrafficWindow:
    """Embed and describe the answers, their texts read as the champion reads them; `champion` is its folder and its base's."""
    from tasks.data.shown_answers import shown_answer
    from tasks.learning.embedding import embed_texts
    from tasks.learning.network import read_spec

    folder, base = champion
    texts = read_spec(folder).read(found["text"].tolist())
    shown_answers = [
        shown_answer(pipeline.facts, answer, text) for answer, text in zip(found["prediction"], found["text"], strict=True)
    ]
    points = embed_texts(base, texts, pipeline.model.max_length, pipeline.training.precision)
    return TrafficWindow(
        now - timedelta(days=pipeline.monitor.window_days),
        now,
        found.assign(text=texts, shown=shown_answers).join(text_stats_of(texts, reference.vocabulary)),
        points,
    )


@task(name="judge", cache_policy=NO_CACHE)
def judge_window(pipeline: Pipeline, reference: TrafficReference, seen: TrafficWindow, look: int, seed: int) -> tuple[Finding, ...]:
    """Compare window and reference by the monitors."""
    codes = text_codes([*reference.rows["text"], *seen.rows["text"]])
    cut = len(reference.rows)
    audits = seen.rows["audit_probability"].where(seen.rows["audit"]).to_numpy(np.float64)
    old = _sample(pipeline, reference.rows, codes[:cut], reference.points, None)
    new = _sample(pipeline, seen.rows, codes[cut:], seen.points, audits)
    return hold_against(old, new, pipeline.monitor, look, seed)


def _sample(
    pipeline: Pipeline,
    rows: pd.DataFrame,
    codes: npt.NDArray[np.int64],
    points: npt.NDArray[np.float32],
    audits: npt.NDArray[np.float64] | None,
) -> Sample:
    from tasks.data.label_sets import rows_by_label

    facts, numbers = pipeline.facts, ["length", "vocabulary"]
    if facts.is_number:
        rows, numbers = rows.assign(answer=rows["prediction"]), [*numbers, "answer"]
    categories = {"language": rows["language"].to_numpy(str)}
    if facts.finds_answers:
        numbers, categories = [*numbers, "answer_length"], {**categories, "answer": _answered(rows["prediction"].tolist())}
    return Sample(
        texts=codes,
        embeddings=points,
        numbers={name: rows[name].to_numpy(np.float64) for name in numbers},
        categories=categories,
        flags={"missing": rows["missing"].to_numpy(bool)},
        confidence=rows["score"].to_numpy(np.float64) if facts.has_classes or facts.finds_answers else None,
        prediction=rows["prediction"].to_numpy(str) if facts.has_classes else None,
        languages=rows["language"].replace(UNSURE, "").to_numpy(str) if pipeline.data.language else None,
        labels=rows_by_label(rows["prediction"].tolist()) if facts.has_label_sets else None,
        correct=rows["correct"].to_numpy(np.float64) if facts.has_labels or facts.finds_answers else None,
        error=rows["error"].to_numpy(np.float64) if facts.is_number else None,
        audit_probability=audits,
    )


def _answered(predictions: list[str]) -> npt.NDArray[np.str_]:
    """Whether each answer is one, in words."""
    from tasks.data.answers import places_of

    return np.array(["an answer" if places_of(prediction) else "no answer" for prediction in predictions], dtype=str)


def seed_of(pipeline: Pipeline, version: str, look: int) -> int:
    """The seed of a look: the same look repeated has the same result."""
    return int(json_sha256([pipeline.name, version, look])[:8], 16)


@task(name="publish", cache_policy=NO_CACHE)
def publish_look(watch: LookReport, home: Home, tracking: Tracking) -> dict[str, str]:
    """Write the page and the numbers to the one MLflow run of this champion's watch, and link them from Prefect.

    `report` is the page's file, `run_id` the run's.
    """
    from tasks.report.monitor.data import to_json
    from tasks.report.monitor.page import render_look
    from tasks.report.monitor.summary import look_markdown

    look = watch.looks[-1]
    look_id = look_name(watch.version, look.number)
    folder = home.path / "looks" / watch.pipeline / look_id
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "watch.html"
    page.write_text(render_look(watch))
    (folder / "watch.json").write_text(to_json(watch))
    name = f"watch {watch.pipeline} {watch.version}"
    run_id = tracking.open_run(
        watch.pipeline, json_sha256(name), name, {"pipeline": watch.pipeline, "watches": watch.version}, "tunekeeper monitor"
    )
    tested = [finding for finding in look.findings if finding.p is not None]
    numbers = {f"{finding.monitor}.{part}": getattr(finding, part) for finding in tested for part in ("effect", "low", "high", "p")}
    numbers |= {f"{finding.monitor}.alarm": float(finding.alarm) for finding in tested} | {"rows": float(look.rows)}
    tracking.log_metrics(run_id, numbers, look.number)
    tracking.log_folder(run_id, folder, f"watch/{look_id}")
    tracking.close_run(run_id)
    link = tracking.page_of(watch.pipeline, run_id, look_artifact(look_id), page)
    create_link_artifact(link, f"look {look.number} at {watch.pipeline} {watch.version}", key="watch")
    create_markdown_artifact(look_markdown(watch), key="monitors")
    create_table_artifact([_cells(finding) for finding in look.findings], key="findings")
    return {"report": str(page), "run_id": run_id}


def announce_alarm(pipeline: Pipeline, look: Look, monitors: Sequence[str], report: str) -> str:
    """Emit the event that automations wait for, and return its name: decay where performance itself fell, drift otherwise."""
    name = "tunekeeper.decay" if any(monitor.startswith(PERFORMANCE) for monitor in monitors) else "tunekeeper.drift"
    payload = {
        "pipeline": pipeline.name,
        "version": look.champion_version,
        "look": look.look,
        "name": look.name,
        "monitors": list(monitors),
        "report": report,
    }
    emit_event(name, resource={"prefect.resource.id": RESOURCE + pipeline.name}, payload=payload)
    return name


def _cells(finding: FindingRow) -> dict[str, object]:
    return {
        "monitor": finding.monitor,
        "effect": finding.effect,
        "least": finding.minimum,
        "p": finding.p,
        "alpha": finding.alpha,
        "alarm": finding.alarm,
        "note": finding.note,
    }
