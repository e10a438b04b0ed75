"""What a training shows of itself, as the plain values of a report: its losses by epoch, and how well it knows its own rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from configs.schema import Pipeline
from tasks.report.run import data as page

if TYPE_CHECKING:
    from tasks.collect.run import Findings
    from tasks.learning.fit import TrainingResult


def training_sentence(trained: TrainingResult, pipeline: Pipeline) -> str:
    """Which epoch's weights a version has, at what learning rate they were reached, and its temperature."""
    if not pipeline.last_objective.trains:
        return f"No weight was trained; calibrated with a temperature of {trained.temperature:.3g}."
    if not trained.epoch:
        return ""
    losses = [entry["eval_loss"] for entry in trained.history if "eval_loss" in entry]
    calibrated = " after its temperature was fitted" if pipeline.facts.has_classes else ""
    folds = f" of the validation rows and {trained.fold_rows:,} training rows that folds answered" if trained.fold_rows else ""
    lowest = f"the lowest {'loss' if folds else 'validation loss'}{folds}{calibrated}"
    choice = f", the one with {lowest}" if losses else ", the last one: no validation rows were there to choose by"
    if losses and pipeline.training.refit:
        choice = f", as many as had {lowest}, on train and validation rows together"
    kinds = [objective.kind for objective in pipeline.objectives]
    stages = f"Trained by {', then '.join(kinds)}; what follows is of the last. " if len(kinds) > 1 else ""
    sentence = f"{stages}Weights of epoch {trained.epoch}{choice}; learning rate {trained.learning_rate:.2g}"
    if pipeline.facts.has_classes:
        sentence += f"; calibrated with a temperature of {trained.temperature:.3g}"
    return f"{sentence}."


def curves_of(trained: TrainingResult) -> tuple[page.Curve, ...]:
    """The losses of each epoch of the training that chose the weights: of training rows the mean over its steps."""
    logged = _last_validated_fit(trained.history)
    series: dict[str, list[tuple[float, float]]] = {"training": _epoch_means(logged)}
    for key, name in (("eval_loss", "validation"), ("eval_calibrated_loss", "validation, calibrated")):
        series[name] = [(round(entry["epoch"]), entry[key]) for entry in logged if key in entry]
    return tuple(page.Curve(name=name, panel="loss", points=tuple(points), by="epoch") for name, points in series.items() if points)


def _last_validated_fit(history: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """The last of several fits that had validation rows, else the last: each begins where the number of the epoch falls."""
    fits: list[list[Mapping[str, float]]] = [[]]
    for entry in history:
        if fits[-1] and entry.get("epoch", 0.0) < fits[-1][-1].get("epoch", 0.0):
            fits.append([])
        fits[-1].append(entry)
    return next((fit for fit in reversed(fits) if any("eval_loss" in entry for entry in fit)), fits[-1])


def _epoch_means(logged: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    epochs: dict[int, list[float]] = {}
    for entry in logged:
        if "loss" in entry and "epoch" in entry:
            epochs.setdefault(max(1, math.ceil(entry["epoch"] - 1e-9)), []).append(entry["loss"])
    return [(float(epoch), sum(losses) / len(losses)) for epoch, losses in sorted(epochs.items())]


def fit_of(findings: Findings, manifest: Mapping[str, Any]) -> page.Fit | None:
    """The report's metrics on training, validation and test rows, where those on training rows are known."""
    if "train" not in findings.scores.fit:
        return None
    known = {**findings.scores.fit, "test": findings.challenger.metrics}
    scores = tuple(
        page.FitScore(
            metric=metric.name, unit=metric.unit, higher_is_better=metric.higher_is_better,
            train=known["train"][metric.name], validation=known.get("validation", {}).get(metric.name),
            test=known["test"][metric.name],
        )
        for metric in findings.pipeline.facts.metrics
        if metric.name in known["train"] and metric.name in known["test"]
    )  # fmt: skip
    splits = tuple(
        page.FitSplit(name=split, scored=int(metrics.get("rows", len(findings.challenger.frame))), rows=manifest["splits"][split])
        for split, metrics in known.items()
    )
    pipeline = findings.pipeline
    return page.Fit(scores=scores, splits=splits, refit=pipeline.training.refit, fitted=pipeline.last_objective.trains)
