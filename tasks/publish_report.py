"""The face of the report: one page on the results of the stages, in MLflow and linked from Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.collect.links import REPORT
from tasks.collect.run import Findings, collect_report
from tasks.collect.run_rows import slice_scores
from tasks.common.orchestration import create_link_artifact, create_markdown_artifact, create_table_artifact, task
from tasks.evaluate import FRAME, StoredScores
from tasks.report.run import data as page
from tasks.report.run.page import render_report
from tasks.report.run.summary import summary_markdown
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from tasks.common.home import Home


@task(name="report", cache_policy=NO_CACHE)
def publish_report(found: Findings, home: Home, tracking: Tracking) -> dict[str, Any]:
    """Write report.html and report.json to the run, point to them from Prefect, and return the run's outcome."""
    report = collect_report(found, home)
    folder = found.trained.folder.parent / "report"
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text(render_report(report))
    (folder / "report.json").write_text(page.to_json(report))
    tracking.log_folder(found.run.run_id, folder, "report")
    tracking.log_artifact(found.run.run_id, _scores(found))
    stages = {f"seconds/{name}": seconds for name, seconds in found.stages.items()}
    tracking.log_metrics(
        found.run.run_id, _prefix_names("test", found.challenger.metrics), found.trained.steps, model_uri=found.model_uri
    )
    tracking.log_metrics(
        found.run.run_id, {**_opponent_metrics(found), **_fit_metrics(report), **stages}, found.trained.steps, first=stages
    )
    described = summary_markdown(report)
    tracking.describe(found.run.run_id, report.pipeline, found.version, described)
    signed = {f"signature.{name}": signature for name, signature in found.challenger.signatures.items()}
    tracking.tag(found.run.run_id, {"verdict": report.verdict, "reason": next(iter(report.reasons), ""), **signed})
    link = tracking.page_of(report.pipeline, found.run.run_id, REPORT, folder / "report.html")
    create_link_artifact(link, f"{report.verdict}: {report.pipeline}", key="report")
    create_markdown_artifact(described, key="verdict")
    rows = [{"system": system.name, **{score.metric: score.value for score in system.scores}} for system in report.systems]
    create_table_artifact(rows, key="metrics")
    return _outcome(found, report, str(folder / "report.html"))


def _scores(findings: Findings) -> Path:
    """A file of the challenger's per-example scores without any texts of targets and answers."""
    texts = ["target", "prediction"] if findings.pipeline.facts.writes_text else []
    path = findings.trained.folder.parent / FRAME
    findings.challenger.frame.drop(columns=texts).to_parquet(path, index=False)
    return path


def _opponent_metrics(findings: Findings) -> dict[str, float]:
    """The metrics of the challenger's opponents: the champion, each baseline."""
    measured = _prefix_names("test/champion", findings.champion.metrics) if findings.champion else {}
    for name, metrics in findings.scores.baselines.metrics.items():
        measured |= _prefix_names(f"test/baseline/{name}", metrics)
    measured |= _language_metrics(findings)
    measured |= _prefix_names("test", findings.scores.added.metrics if findings.scores.added else {})
    return measured


def _language_metrics(findings: Findings) -> dict[str, float]:
    """The challenger's mean primary score, and its rows, by language."""
    column, metric = findings.pipeline.data.language, findings.pipeline.facts.primary.name
    own = [row for row in slice_scores(findings) if row.column == column]
    return {
        f"test/language/{row.name}/{name}": float(value)
        for row in own
        for name, value in ((metric, row.value), ("rows", row.n))
        if value is not None
    }


def _fit_metrics(report: page.ReportData) -> dict[str, float]:
    """The challenger on training and validation rows, and the gap to test: above zero it does better on them."""
    measured = {}
    for score in report.fit.scores if report.fit else ():
        for split, value in (("train", score.train), ("validation", score.validation)):
            if value is not None and score.test is not None:
                measured[f"{split}/{score.metric}"] = value
                measured[f"gap/{split}_test/{score.metric}"] = (value - score.test) * (1 if score.higher_is_better else -1)
    return measured


def _prefix_names(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}/{name}": value for name, value in metrics.items()}


def _outcome(findings: Findings, page_data: page.ReportData, report: str) -> dict[str, object]:
    """The outcome that `tunekeeper retrain --json` prints."""
    name, verdict = findings.pipeline.name, findings.verdict
    return {
        "pipeline": name,
        "run_id": findings.run.run_id,
        "skipped": False,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "metrics": findings.challenger.metrics | (findings.scores.added.metrics if findings.scores.added else {}),
        "intervals": {score.metric: [score.low, score.high] for score in page_data.systems[0].scores if score.low is not None},
        "test_rows": len(findings.challenger.frame),
        "champion_metrics": findings.champion.metrics if findings.champion else None,
        "model": {"name": name, "version": findings.version, "uri": f"models:/{name}/{findings.version}"},
        "snapshot": findings.prepared.snapshot,
        "train_key": findings.run.key,
        "decision_key": findings.decision_key,
        "look": verdict.look,
        "report": report,
        "weights_sha256": findings.trained.weights,
        "training_seconds": findings.trained.seconds,
        "peak_memory_bytes": findings.trained.peak_memory,
    }


def in_short(pipeline: Pipeline, scores: StoredScores) -> str:
    """The first two metrics in a few words."""
    names = [metric.name for metric in pipeline.facts.metrics[:2]]
    return ", ".join(f"{name} {scores.metrics[name]:.4g}" for name in names if name in scores.metrics)
