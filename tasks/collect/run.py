"""What the stages found, as the plain values that a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from configs.schema import Pipeline
from tasks.collect import run_rows as rows
from tasks.collect import training
from tasks.collect.misranked import misranked_texts, query_notices
from tasks.collect.run_answers import answer_fit
from tasks.collect.run_scores import better_rules, scores_of_systems
from tasks.collect.run_spans import span_report
from tasks.common.files import folder_bytes
from tasks.context import TrainingRun
from tasks.decide import recent_rows
from tasks.evaluate import AllScores, StoredScores
from tasks.gate.evidence import Comparison, Verdict, metric_bounds
from tasks.identity.keys import TRAIN_LIBRARIES, library_versions
from tasks.report.run import data as page
from tasks.report.run.rows import ClassRow, WorstError
from tasks.snapshots import PreparedSnapshot, open_snapshot

if TYPE_CHECKING:
    import pandas as pd

    from tasks.common.home import Home
    from tasks.learning.fit import TrainingResult


@dataclass(frozen=True)
class Findings:
    """All that a report is made of; `against` is the version that was compared with, `adopted` a model fine-tuned elsewhere."""

    pipeline: Pipeline
    prepared: PreparedSnapshot
    run: TrainingRun
    trained: TrainingResult
    scores: AllScores
    verdict: Verdict
    decision_key: str
    model_uri: str
    version: str
    against: str | None
    stages: Mapping[str, float]
    notices: tuple[str, ...]
    next_command: str
    adopted: bool = False

    @property
    def challenger(self) -> StoredScores:
        """The scores of the model that is judged."""
        return self.scores.challenger

    @property
    def champion(self) -> StoredScores | None:
        """The scores of the version that it was compared with, if there is one."""
        return self.scores.champion


def collect_report(findings: Findings, home: Home) -> page.ReportData:
    """The report as plain values."""
    pipeline, verdict, frame = findings.pipeline, findings.verdict, findings.challenger.frame
    facts = pipeline.facts
    manifest = open_snapshot(home, findings.prepared.snapshot).manifest
    return page.ReportData(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        run_id=findings.run.run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        primary_metric=pipeline.facts.metrics[0].name,
        systems=scores_of_systems(findings),
        identity=_identity(findings),
        confidence=pipeline.evaluation.confidence,
        model_name=pipeline.name,
        model_version=findings.version,
        champion_version=findings.against,
        look=verdict.look,
        looks_per_year=pipeline.gate.looks_per_year,
        next_command=findings.next_command,
        rule="adopted" if findings.adopted else pipeline.gate.rule_against(findings.against),
        comparisons=(*(_comparison_row(comparison, findings) for comparison in verdict.comparisons), *_floor_rows(findings)),
        population=_population(findings),
        classes=_class_rows(findings),
        slices=rows.slice_scores(findings),
        confusion=rows.confusion_of(frame) if facts.has_classes else None,
        calibration=rows.calibration_of(findings) if facts.has_classes else None,
        curves=training.curves_of(findings.trained),
        kept_epoch=findings.trained.epoch or None,
        fit=training.fit_of(findings, manifest),
        training=training.training_sentence(findings.trained, pipeline),
        data=_data_summary(findings, manifest),
        errors=_worst_errors(findings, home),
        misranked=misranked_texts(findings, home),
        generations=rows.worst_generations(findings, home) if facts.writes_text else (),
        numbers=rows.number_fit(findings, home) if facts.answers_in_unit else None,
        answers=answer_fit(findings, home) if facts.finds_answers else None,
        spans=span_report(findings, home) if facts.has_spans else None,
        judge=rows.judge_summary(findings.scores.added),
        scorers=rows.scorer_rows(findings.scores.added),
        cost=_cost(findings),
        notices=(*findings.notices, *better_rules(findings), *query_notices(findings)),
    )  # fmt: skip


def _class_rows(findings: Findings) -> tuple[ClassRow, ...]:
    facts = findings.pipeline.facts
    if facts.has_spans:
        return ()
    if facts.has_label_sets:
        return rows.label_scores(findings)
    return rows.class_scores(findings) if facts.has_classes else ()


def _worst_errors(findings: Findings, home: Home) -> tuple[WorstError, ...]:
    facts = findings.pipeline.facts
    if facts.has_spans:
        return ()
    if facts.has_label_sets:
        return rows.worst_label_sets(findings, home)
    return rows.worst_errors(findings, home) if facts.has_classes else ()


def _population(findings: Findings) -> page.Population:
    verdict, frame, pipeline = findings.verdict, findings.challenger.frame, findings.pipeline
    return page.Population(
        test=len(frame), judged=verdict.n, window=_count_in_window(frame, pipeline), left_out=verdict.excluded,
        groups=verdict.n_groups, effective=verdict.n_effective, new_rows=verdict.new_rows, new_labels=verdict.new_labels,
        needed=verdict.rows_needed, detectable=verdict.detectable, unit=rows.unit_of(pipeline),
    )  # fmt: skip


def _cost(findings: Findings) -> page.Cost:
    numerics = findings.trained.numerics
    return page.Cost(
        stages=tuple(page.StageCost(name=name, seconds=seconds) for name, seconds in findings.stages.items()),
        peak_bytes=findings.trained.peak_memory,
        device=numerics.hardware,
        numerics={"dtype": numerics.dtype, "threads": str(numerics.threads)},
    )


def _count_in_window(frame: pd.DataFrame, pipeline: Pipeline) -> int | None:
    rows = recent_rows(frame, pipeline.gate.window)
    return None if rows is None else int(rows.sum())


def _comparison_row(comparison: Comparison, findings: Findings) -> page.ComparisonRow:
    unit = rows.unit_of(findings.pipeline)
    return page.ComparisonRow(
        name=_opponent_name(comparison.name, findings.against),
        kind=comparison.rule,
        n=comparison.n,
        outcome=comparison.outcome,
        difference=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        confidence=comparison.confidence,
        p_value=comparison.p_value,
        alpha=comparison.alpha,
        margin=comparison.margin,
        wins=comparison.wins,
        losses=comparison.losses,
        unit="number" if comparison.quantity else unit,
        quantity=comparison.quantity or findings.pipeline.facts.compared,
        note=f"{comparison.clipped:,} rows clipped" if comparison.clipped else "",
    )


def _opponent_name(name: str, version: str | None) -> str:
    """The opponent of a comparison; the champion with its version."""
    return name.replace("champion", f"champion version {version}", 1) if name.startswith("champion") else name


def _floor_rows(findings: Findings) -> tuple[page.ComparisonRow, ...]:
    metrics, n = findings.challenger.metrics, len(findings.challenger.frame)
    return tuple(
        page.ComparisonRow(
            name=f"{bound.metric} {bound.words}",
            kind="floor",
            n=n,
            outcome="met" if bound.holds(metrics) else "missed",
            note=f"{metrics[bound.metric]:.4g}",
        )
        for bound in metric_bounds(findings.pipeline.gate)
    )


def _data_summary(findings: Findings, manifest: Mapping[str, Any]) -> page.DataSummary:
    overlap = manifest["overlap"]
    source, near = findings.pipeline.data.source, findings.pipeline.data.deduplicate
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
            for o in findings.prepared.outcomes
        ),
        leakage=overlap["test_rows_with_a_neighbour"],
        leakage_threshold=near.threshold if near.enabled else None,
        leakage_note="the published split is used as given; these rows count in the metrics and are left out at the gate"
        if overlap["test_as_given"]
        else "those copies were left out there",
        data_docs="the artifact data_docs of this run",
    )


def _counts(values: Mapping[str, int | dict[str, Any]]) -> tuple[page.Count, ...]:
    """Counts by name, from a manifest's {name: n} or {name: {"rows": n, ...}}."""
    pairs = ((name, n["rows"] if isinstance(n, dict) else n) for name, n in values.items())
    return tuple(page.Count(name=name, n=int(n)) for name, n in pairs if n)


def _identity(findings: Findings) -> page.Identity:
    pipeline = findings.pipeline
    adapter_folder = findings.trained.folder.parent / "kept"
    settings = pipeline.training.model_dump(mode="json")
    return page.Identity(
        snapshot=findings.prepared.snapshot,
        train_key=findings.run.key,
        decision_key=findings.decision_key,
        base=findings.run.base.name,
        base_sha256=findings.run.base.weights,
        adapter="none: fine-tuned elsewhere" if findings.adopted else pipeline.adapter.kind,
        adapter_bytes=folder_bytes(adapter_folder) if adapter_folder.is_dir() else None,
        base_bytes=findings.run.base.bytes,
        seeds={} if findings.adopted else {"training": pipeline.training.seed},
        settings={} if findings.adopted else {name: str(value) for name, value in settings.items()},
        libraries=library_versions(TRAIN_LIBRARIES),
    )
