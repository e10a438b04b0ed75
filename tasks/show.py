"""The face of the report: one page of what the stages found, in MLflow and linked from Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.champion import SIGNATURES
from tasks.evaluate import FRAME, Scores
from tasks.findings import SHOWN_METRICS, Findings, gather
from tasks.orchestration import create_link_artifact, create_markdown_artifact, create_table_artifact, task
from tasks.pages import REPORT
from tasks.prepare import Prepared, contract_table, open_snapshot
from tasks.report import data as page
from tasks.report.page import render
from tasks.report.summary import summary_markdown
from tasks.tracking import Tracking

if TYPE_CHECKING:
    from tasks.home import Home


@task(name="describe", cache_policy=NO_CACHE)
def describe(
    pipeline: Pipeline, home: Home, tracking: Tracking, prepared: Prepared, run_id: str, without: frozenset[str] = frozenset()
) -> None:
    """Parameters, the snapshot's account and signatures, Data Docs: into the run, once; `without` are settings that had no part."""
    if tracking.tags(run_id).get("described") == prepared.snapshot:
        return
    sealed = open_snapshot(home, prepared.snapshot)
    tracking.log_params(run_id, flat(pipeline.model_dump(mode="json", exclude={"name", *without})))
    for name in ("manifest.json", *SIGNATURES):
        tracking.log_artifact(run_id, sealed.path / name, "snapshot")
    tracking.log_folder(run_id, Path(prepared.docs), "data_docs")
    create_markdown_artifact(contract_table(prepared.outcomes), key="contract")
    tracking.tag(run_id, {"described": prepared.snapshot})


@task(name="report", cache_policy=NO_CACHE)
def publish(found: Findings, home: Home, tracking: Tracking) -> dict[str, Any]:
    """Write report.html and report.json to the run, point to them from Prefect, and return the run's outcome."""
    report = gather(found, home)
    folder = found.trained.folder.parent / "report"
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text(render(report))
    (folder / "report.json").write_text(page.to_json(report))
    tracking.log_folder(found.run_id, folder, "report")
    tracking.log_artifact(found.run_id, _scores(found))
    stages = {f"seconds.{name}": seconds for name, seconds in found.stages.items()}
    tracking.log_metrics(found.run_id, _named("test", found.challenger.metrics), found.trained.steps, model_uri=found.model_uri)
    tracking.log_metrics(found.run_id, {**_others(found), **stages}, found.trained.steps, first=stages)
    tracking.tag(found.run_id, {"verdict": report.verdict, "reason": next(iter(report.reasons), "")})
    link = tracking.page_of(report.pipeline, found.run_id, REPORT, folder / "report.html")
    create_link_artifact(link, f"{report.verdict}: {report.pipeline}", key="report")
    create_markdown_artifact(summary_markdown(report), key="verdict")
    rows = [{"system": system.name, **{score.metric: score.value for score in system.scores}} for system in report.systems]
    create_table_artifact(rows, key="metrics")
    return _outcome(found, report, str(folder / "report.html"))


def _scores(found: Findings) -> Path:
    """A file of the challenger's per-example scores without any text: what was written and wanted stays in the snapshot."""
    texts = ["target", "prediction"] if found.pipeline.problem == "text-generation" else []
    path = found.trained.folder.parent / FRAME
    found.challenger.frame.drop(columns=texts).to_parquet(path, index=False)
    return path


def _others(found: Findings) -> dict[str, float]:
    """What was measured of those whom the challenger met: the champion, each baseline."""
    measured = _named("champion", found.champion.metrics) if found.champion else {}
    for name, metrics in found.baselines.metrics.items():
        measured |= _named(f"baseline.{name}", metrics)
    return measured


def _named(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}.{name}": value for name, value in metrics.items()}


def _outcome(found: Findings, said: page.ReportData, report: str) -> dict[str, Any]:
    """What `tunekeeper retrain --json` prints."""
    name, verdict = found.pipeline.name, found.verdict
    return {
        "pipeline": name,
        "run_id": found.run_id,
        "skipped": False,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "metrics": found.challenger.metrics,
        "intervals": {score.metric: [score.low, score.high] for score in said.systems[0].scores if score.low is not None},
        "test_rows": len(found.challenger.frame),
        "champion_metrics": found.champion.metrics if found.champion else None,
        "model": {"name": name, "version": found.version, "uri": f"models:/{name}/{found.version}"},
        "snapshot": found.prepared.snapshot,
        "train_key": found.keys[0],
        "decision_key": found.keys[1],
        "look": verdict.look,
        "report": report,
        "weights_sha256": found.trained.weights,
        "training_seconds": found.trained.seconds,
        "peak_memory_bytes": found.trained.peak_memory,
    }


def in_short(pipeline: Pipeline, scores: Scores) -> str:
    """The first two metrics in a few words."""
    return ", ".join(f"{name} {scores.metrics[name]:.4g}" for name in SHOWN_METRICS[pipeline.problem][:2] if name in scores.metrics)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return out
