"""The face of the report: one page of what the stages found, in MLflow and linked from Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.collect.links import REPORT
from tasks.collect.run import Findings, collect_report
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
    tracking.log_metrics(found.run.run_id, _named("test", found.challenger.metrics), found.trained.steps, model_uri=found.model_uri)
    tracking.log_metrics(found.run.run_id, {**_others(found), **_fit(report), **stages}, found.trained.steps, first=stages)
    described = summary_markdown(report)
    tracking.describe(found.run.run_id, report.pipeline, found.version, described)
    tracking.tag(found.run.run_id, {"verdict": report.verdict, "reason": next(iter(report.reasons), "")})
    link = tracking.page_of(report.pipeline, found.run.run_id, REPORT, folder / "report.html")
    create_link_artifact(link, f"{report.verdict}: {report.pipeline}", key="report")
    create_markdown_artifact(described, key="verdict")
    rows = [{"system": system.name, **{score.metric: score.value for score in system.scores}} for system in report.systems]
    create_table_artifact(rows, key="metrics")
    return _outcome(found, report, str(folder / "report.html"))


def _scores(found: Findings) -> Path:
    """A file of the challenger's per-example scores without any text: what was written and wanted stays in the snapshot."""
    texts = ["target", "prediction"] if found.pipeline.facts.writes_text else []
    path = found.trained.folder.parent / FRAME
    found.challenger.frame.drop(columns=texts).to_parquet(path, index=False)
    return path


def _others(found: Findings) -> dict[str, float]:
    """What was measured of those whom the challenger met: the champion, each baseline."""
    measured = _named("test/champion", found.champion.metrics) if found.champion else {}
    for name, metrics in found.scores.baselines.metrics.items():
        measured |= _named(f"test/baseline/{name}", metrics)
    return measured


def _fit(report: page.ReportData) -> dict[str, float]:
    """The challenger on training and validation rows, and how far from test: above zero it knows them better."""
    measured = {}
    for score in report.fit.scores if report.fit else ():
        for split, value in (("train", score.train), ("validation", score.validation)):
            if value is not None and score.test is not None:
                measured[f"{split}/{score.metric}"] = value
                measured[f"gap/{split}_test/{score.metric}"] = (value - score.test) * (1 if score.higher_is_better else -1)
    return measured


def _named(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}/{name}": value for name, value in metrics.items()}


def _outcome(found: Findings, said: page.ReportData, report: str) -> dict[str, object]:
    """What `tunekeeper retrain --json` prints."""
    name, verdict = found.pipeline.name, found.verdict
    return {
        "pipeline": name,
        "run_id": found.run.run_id,
        "skipped": False,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "metrics": found.challenger.metrics,
        "intervals": {score.metric: [score.low, score.high] for score in said.systems[0].scores if score.low is not None},
        "test_rows": len(found.challenger.frame),
        "champion_metrics": found.champion.metrics if found.champion else None,
        "model": {"name": name, "version": found.version, "uri": f"models:/{name}/{found.version}"},
        "snapshot": found.prepared.snapshot,
        "train_key": found.run.key,
        "decision_key": found.decision_key,
        "look": verdict.look,
        "report": report,
        "weights_sha256": found.trained.weights,
        "training_seconds": found.trained.seconds,
        "peak_memory_bytes": found.trained.peak_memory,
    }


def in_short(pipeline: Pipeline, scores: StoredScores) -> str:
    """The first two metrics in a few words."""
    names = [metric.name for metric in pipeline.facts.metrics[:2]]
    return ", ".join(f"{name} {scores.metrics[name]:.4g}" for name in names if name in scores.metrics)
