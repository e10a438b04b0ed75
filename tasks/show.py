"""The face of the report: what the stages found, gathered into one page, in MLflow and linked from Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.champion import SIGNATURES
from tasks.decide import recent, slice_columns
from tasks.evaluate import Baselines, Scores, folder_bytes
from tasks.identity import TRAIN_LIBRARIES, libraries
from tasks.judgement.calibration import reliability
from tasks.judgement.evidence import Comparison, Verdict
from tasks.judgement.intervals import mean_interval
from tasks.judgement.slices import by_slice
from tasks.learning.base import Base
from tasks.prepare import Prepared, open_snapshot
from tasks.report import data as page
from tasks.report.page import render
from tasks.report.summary import summary_markdown
from tasks.tracking import Tracking

if TYPE_CHECKING:
    from tasks.home import Home
    from tasks.learning.fit import Trained

WORST = 20
SHOWN_METRICS = {
    "text-classification": ("accuracy", "f1_macro", "log_loss", "expected_calibration_error"),
    "text-generation": ("nll_per_token", "perplexity", "exact_match", "rouge_l"),
}
SHARES = {"accuracy", "f1_macro", "expected_calibration_error", "exact_match", "rouge_l"}
LOWER_IS_BETTER = {"log_loss", "expected_calibration_error", "nll_per_token", "perplexity"}


@dataclass(frozen=True)
class Findings:
    """All that a report is made of."""

    pipeline: Pipeline
    base: Base
    prepared: Prepared
    trained: Trained
    challenger: Scores
    champion: Scores | None
    baselines: Baselines
    verdict: Verdict
    run_id: str
    version: str
    against: str | None
    keys: tuple[str, str]
    stages: Mapping[str, float]
    notices: tuple[str, ...]
    next_command: str


@task(name="describe", cache_policy=NO_CACHE)
def describe(pipeline: Pipeline, home: Home, tracking: Tracking, prepared: Prepared, run_id: str) -> None:
    """Parameters, the snapshot's account and signatures, Data Docs: into the run, once."""
    if tracking.tags(run_id).get("described") == prepared.snapshot:
        return
    sealed = open_snapshot(home, prepared.snapshot)
    tracking.log_params(run_id, flat(pipeline.model_dump(mode="json", exclude={"name"})))
    for name in ("manifest.json", *SIGNATURES):
        tracking.log_artifact(run_id, sealed.path / name, "snapshot")
    tracking.log_folder(run_id, Path(prepared.docs), "data_docs")
    create_markdown_artifact(_contract_markdown(prepared), key="contract")
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
    tracking.log_metrics(
        found.run_id, {f"test.{name}": value for name, value in found.challenger.metrics.items()}, found.trained.steps
    )
    create_link_artifact((folder / "report.html").as_uri(), link_text=f"{report.verdict}: {report.pipeline}", key="report")
    create_markdown_artifact(summary_markdown(report), key="verdict")
    rows = [{"system": system.name, **{score.metric: score.value for score in system.scores}} for system in report.systems]
    create_table_artifact(rows, key="metrics")
    return _outcome(found, str(folder / "report.html"))


def _outcome(found: Findings, report: str) -> dict[str, Any]:
    """What `tunekeeper retrain --json` prints."""
    name, verdict = found.pipeline.name, found.verdict
    return {
        "pipeline": name,
        "run_id": found.run_id,
        "skipped": False,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "metrics": found.challenger.metrics,
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


def _contract_markdown(prepared: Prepared) -> str:
    lines = ["| stage | expectation | action | held | failing |", "| :-- | :-- | :-- | :-- | --: |"]
    for o in prepared.outcomes:
        held = "yes" if o["success"] else "**no**"
        expectation = o["expectation"].replace("|", "\\|")
        lines.append(
            f"| {o['stage']} | {expectation} | {o['action']} | {held if o['evaluated'] else 'not checked'} | {o['failing']} |"
        )
    return "\n".join(lines)


def gather(found: Findings, home: Home) -> page.ReportData:
    """The report as plain values."""
    pipeline, verdict, frame = found.pipeline, found.verdict, found.challenger.frame
    text = pipeline.problem == "text-generation"
    manifest = open_snapshot(home, found.prepared.snapshot).manifest
    return page.ReportData(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        run_id=found.run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        primary_metric=SHOWN_METRICS[pipeline.problem][0],
        systems=_systems(found),
        identity=_identity(found),
        confidence=pipeline.evaluation.confidence,
        model_name=pipeline.name,
        model_version=found.version,
        champion_version=found.against,
        look=verdict.look,
        looks_per_year=pipeline.gate.looks_per_year,
        next_command=found.next_command,
        rule=pipeline.gate.rule,
        comparisons=(*(_comparison(each, found) for each in verdict.comparisons), *_floors(found)),
        population=page.Population(
            test=len(frame), judged=verdict.n, window=_in_window(frame, pipeline), left_out=verdict.excluded,
            groups=verdict.n_groups, needed=verdict.rows_needed,
        ),
        classes=() if text else _classes(found),
        slices=_slices(found),
        confusion=None if text else _confusion(frame),
        calibration=None if text else _calibration(found),
        curves=_curves(found.trained),
        data=_data(found, manifest),
        errors=() if text else _worst(found, home),
        generations=_generations(found, home) if text else (),
        cost=page.Cost(
            stages=tuple(page.StageCost(name=name, seconds=seconds) for name, seconds in found.stages.items()),
            peak_bytes=found.trained.peak_memory,
            device=found.trained.numerics.hardware,
            numerics={"dtype": found.trained.numerics.dtype, "threads": str(found.trained.numerics.threads)},
        ),
        notices=found.notices,
    )  # fmt: skip


def _in_window(frame: Any, pipeline: Pipeline) -> int | None:
    rows = recent(frame, pipeline.gate.window)
    return None if rows is None else int(rows.sum())


def _systems(found: Findings) -> tuple[page.System, ...]:
    pipeline = found.pipeline
    primary = _primary(found.challenger, pipeline)
    systems = [_system("challenger", "challenger", found.version, primary, found.challenger.metrics, pipeline)]
    if found.champion is not None:
        scores = _primary(found.champion, pipeline)
        systems.append(_system("champion", "champion", found.against, scores, found.champion.metrics, pipeline))
    for name, metrics in found.baselines.metrics.items():
        systems.append(_system(name, "baseline", None, found.baselines.scores[name], metrics, pipeline))
    return tuple(systems)


def _primary(scores: Scores, pipeline: Pipeline) -> Any:
    from tasks.learning.scoring import primary

    return primary(pipeline.problem, scores.frame)


def _system(
    name: str, role: Any, version: str | None, scores: Any, metrics: Mapping[str, float], pipeline: Pipeline
) -> page.System:
    interval = mean_interval(scores, None, pipeline.evaluation.confidence, pipeline.evaluation.bootstrap)
    shown = []
    for place, metric in enumerate(SHOWN_METRICS[pipeline.problem]):
        sign = -1 if metric == "nll_per_token" else 1
        ends = sorted(sign * end for end in (interval.low, interval.high) if end is not None) if place == 0 else []
        low, high = ends if len(ends) == 2 else (None, None)
        value = metrics.get(metric) if place else sign * interval.value
        if value is not None:
            shown.append(_score(metric, value, low, high))
    return page.System(name=name, role=role, version=version, scores=tuple(shown))


def _score(metric: str, value: float, low: float | None = None, high: float | None = None) -> page.Score:
    unit: page.Unit = "share" if metric in SHARES else "number"
    return page.Score(metric=metric, value=value, low=low, high=high, unit=unit, higher_is_better=metric not in LOWER_IS_BETTER)


def _comparison(each: Comparison, found: Findings) -> page.Comparison:
    share = found.pipeline.problem == "text-classification"
    return page.Comparison(
        name=f"champion version {found.against}" if each.name == "champion" else each.name,
        kind=each.rule,
        n=each.n,
        outcome=each.outcome,
        difference=each.difference,
        low=each.low,
        high=each.high,
        confidence=each.confidence,
        p_value=each.p_value,
        alpha=each.alpha,
        margin=each.margin,
        wins=each.wins,
        losses=each.losses,
        unit="share" if share else "number",
        quantity="accuracy" if share else "log-likelihood per token",
    )


def _floors(found: Findings) -> tuple[page.Comparison, ...]:
    metrics, n = found.challenger.metrics, len(found.challenger.frame)
    return tuple(
        page.Comparison(
            name=f"{name} at least {least:g}",
            kind="floor",
            n=n,
            outcome="met" if metrics[name] >= least else "missed",
            note=f"{metrics[name]:.4g}",
        )
        for name, least in found.pipeline.gate.floors.items()
    )


def _classes(found: Findings) -> tuple[page.ClassScore, ...]:
    from tasks.problems.metrics import per_class

    frame = found.challenger.frame
    labels = sorted({*frame["target"], *frame["prediction"]})
    code = {label: place for place, label in enumerate(labels)}
    targets, predictions = (np.array([code[label] for label in frame[name]]) for name in ("target", "prediction"))
    recall = {each.value: each for each in by_slice(frame["correct"], {"class": frame["target"].to_numpy()}, None)}
    champion = {} if found.champion is None else found.champion.frame.groupby("target")["correct"].mean().to_dict()
    return tuple(
        page.ClassScore(
            name=each.label, n=each.support, recall=recall[each.label].mean, precision=each.precision, f1=each.f1,
            low=recall[each.label].low, high=recall[each.label].high, champion=champion.get(each.label),
        )
        for each in per_class(targets, predictions, labels) if each.support
    )  # fmt: skip


def _slices(found: Findings) -> tuple[page.SliceScore, ...]:
    frame = found.challenger.frame
    columns = slice_columns(frame)
    if not columns:
        return ()
    ours = by_slice(_primary(found.challenger, found.pipeline), columns, None)
    theirs = (
        {}
        if found.champion is None
        else {(e.name, e.value): e.mean for e in by_slice(_primary(found.champion, found.pipeline), columns)}
    )
    judged = {each.name: each.outcome for each in found.verdict.comparisons if each.rule == "guard"}
    unit: page.Unit = "share" if found.pipeline.problem == "text-classification" else "number"
    return tuple(
        page.SliceScore(
            column=e.name, name=e.value, n=e.n, value=e.mean, low=e.low, high=e.high, champion=theirs.get((e.name, e.value)),
            outcome=judged.get(f"slice {e.name}={e.value}", ""), unit=unit,
        )
        for e in ours
    )  # fmt: skip


def _confusion(frame: Any) -> page.Confusion:
    import pandas as pd

    labels = sorted({*frame["target"], *frame["prediction"]})
    table = pd.crosstab(frame["target"], frame["prediction"]).reindex(index=labels, columns=labels, fill_value=0)
    return page.Confusion(labels=tuple(labels), counts=tuple(tuple(int(n) for n in row) for row in table.to_numpy()))


def _calibration(found: Findings) -> page.Calibration:
    frame = found.challenger.frame
    curve = reliability(frame["confidence"], frame["correct"])
    width = 1 / 15
    bins = tuple(
        page.CalibrationBin(low=float(low), high=float(low) + width, n=int(n), confidence=float(said), accuracy=float(right))
        for low, n, said, right in zip(curve.lower_edge, curve.count, curve.confidence, curve.accuracy, strict=True)
    )
    theirs = None if found.champion is None else found.champion.metrics.get("expected_calibration_error")
    return page.Calibration(bins=bins, ece=float(curve.error), champion_ece=theirs)


def _curves(trained: Trained) -> tuple[page.Curve, ...]:
    curves = []
    for key, name in (("loss", "train loss"), ("eval_loss", "validation loss")):
        points = tuple((entry["step"], entry[key]) for entry in trained.history if key in entry)
        if points:
            curves.append(page.Curve(name=name, panel="loss", points=points))
    return tuple(curves)


def _data(found: Findings, manifest: dict[str, Any]) -> page.DataSummary:
    overlap = manifest["overlap"]
    source = found.pipeline.data.source
    return page.DataSummary(
        source=source if isinstance(source, str) else ", ".join(source),
        rows_read=manifest["rows"]["read"],
        splits=tuple(page.Count(name=name, n=n) for name, n in manifest["splits"].items()),
        dropped=_counts(manifest["dropped"]),
        redacted=_counts(manifest["redacted"]),
        quarantined=_counts(manifest["quarantined"]["reasons"]),
        contract=tuple(
            page.Expectation(
                name=f"{o['stage']}: {o['expectation']}",
                success=o["success"],
                severity=o["action"],
                unexpected=o["failing"],
                detail=o["reason"],
                evaluated=o["evaluated"],
            )
            for o in found.prepared.outcomes
        ),
        leakage=overlap["test_rows_with_a_neighbour"],
        leakage_note="the published split is used as given; these rows count in the metrics and are left out at the gate"
        if overlap["test_as_given"]
        else "",
        data_docs="Great Expectations' Data Docs: artifact data_docs of this run",
    )


def _counts(values: Any) -> tuple[page.Count, ...]:
    """Counts by name, from a manifest's {name: n} or {name: {"rows": n, ...}}."""
    pairs = ((name, n["rows"] if isinstance(n, dict) else n) for name, n in values.items())
    return tuple(page.Count(name=name.replace("_", " ") if not name.isupper() else name, n=int(n)) for name, n in pairs if n)


def _worst(found: Findings, home: Home) -> tuple[page.WorstError, ...]:
    frame = found.challenger.frame
    wrong = frame[frame["correct"] == 0].nlargest(WORST, "confidence")
    texts = open_snapshot(home, found.prepared.snapshot).frame("test").set_index("id")["text"]
    return tuple(
        page.WorstError(
            id=row.id, text=texts[row.id], target=row.target, prediction=row.prediction, confidence=float(row.confidence)
        )
        for row in _rows(wrong)
    )


def _rows(frame: Any) -> Any:
    """Rows with their columns as attributes, of any type."""
    return frame.itertuples()


def _generations(found: Findings, home: Home) -> tuple[page.Generation, ...]:
    frame = found.challenger.frame
    prompts = open_snapshot(home, found.prepared.snapshot).frame("test").set_index("id")["text"]
    return tuple(
        page.Generation(
            id=row.id, prompt=prompts[row.id], reference=row.target, output=row.prediction, rouge_l=float(row.rouge_l),
            exact_match=bool(row.exact_match),
        )
        for row in _rows(frame[frame["prediction"].notna()].head(WORST))
    )  # fmt: skip


def _identity(found: Findings) -> page.Identity:
    pipeline = found.pipeline
    kept = found.trained.folder.parent / "kept"
    return page.Identity(
        snapshot=found.prepared.snapshot,
        train_key=found.keys[0],
        decision_key=found.keys[1],
        base=pipeline.model.base,
        base_sha256=found.base.weights,
        adapter=pipeline.adapter.kind,
        adapter_bytes=folder_bytes(Path(kept)) if kept.is_dir() else None,
        base_bytes=found.base.bytes,
        seeds={"training": pipeline.training.seed},
        settings={name: str(value) for name, value in pipeline.training.model_dump(mode="json").items()},
        libraries=libraries(TRAIN_LIBRARIES),
    )
