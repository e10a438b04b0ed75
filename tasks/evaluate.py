"""The face of evaluation: every model scored once on a test set, its per-example scores kept as Parquet under their key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.schema import Full, Pipeline
from tasks.common.bases import Base
from tasks.common.files import atomic_folder, is_valid
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.identity.keys import json_sha256, scores_key
from tasks.snapshots import open_snapshot
from tasks.train import fitted_splits, training_material

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import numpy.typing as npt
    import pandas as pd

    from tasks.answered_rows import AddedFindings
    from tasks.common.processes import HelperProcess
    from tasks.learning.fit import TrainingResult
    from tasks.problems.base import Measure
    from tasks.problems.types import Network, ScoredBaseline

FRAME, METRICS, PROBABILITIES, POINTS = "scores.parquet", "metrics.json", "probabilities.npy", "points.npy"
SIGNATURES = "signatures.json"
FIT_ROWS = 500  # of a split that the weights were fitted to or chosen by: its accuracy is known to two points


@dataclass(frozen=True)
class StoredScores:
    """One model's scores of one test set, on disk."""

    folder: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.folder / FRAME)

    @cached_property
    def metrics(self) -> dict[str, float]:
        metrics: dict[str, float] = json.loads((self.folder / METRICS).read_text())
        return metrics

    @cached_property
    def signatures(self) -> dict[str, str]:
        """How metrics were computed, in the notation of their library, by name; none where it has no notation."""
        file = self.folder / SIGNATURES
        signatures: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
        return signatures


@task(name="evaluate", task_run_name="evaluate-{who}", cache_policy=NO_CACHE)
def evaluate(
    pipeline: Pipeline,
    home: Home,
    snapshot: str,
    trained_key: str,
    load: Callable[[], Network],
    who: str,  # noqa: ARG001  (names the task run)
) -> StoredScores:
    """Score a model on the snapshot's test rows, or find its scores; `load` builds its network only if it is needed."""
    sealed = open_snapshot(home, snapshot)
    folder = home.path / "scores" / scores_key(trained_key, sealed.manifest["hashes"]["test_rows"], pipeline)
    if is_valid(folder, frozenset({FRAME, METRICS})) is not None:
        from tasks.learning.scoring import score_network, scoring_of

        how = scoring_of(pipeline.evaluation, pipeline.training.precision)
        scored = score_network(measure_of(pipeline), load(), sealed.frame("test"), how)
        with atomic_folder(folder) as aside:
            scored.frame.to_parquet(aside / FRAME, index=False)
            (aside / METRICS).write_text(json.dumps(scored.metrics))
            (aside / SIGNATURES).write_text(json.dumps(dict(scored.signatures)))
            if scored.class_scores is not None:
                np.save(aside / PROBABILITIES, scored.class_scores.probabilities.astype(np.float32))
    return StoredScores(folder)


@task(name="evaluate-fit", cache_policy=NO_CACHE)
def evaluate_fit(
    pipeline: Pipeline, home: Home, snapshot: str, trained_key: str, load: Callable[[], Network]
) -> dict[str, dict[str, float]]:
    """The final weights' metrics on rows that they were fitted to and chosen by: the gap to those of test rows shows an overfit.

    Split -> metric -> value, and `rows`: of a larger split so many are drawn. Nothing is decoded.
    """
    return {
        split: metrics
        for split in ("train", "validation")
        if (metrics := _score_split(pipeline, home, snapshot, trained_key, load, split))
    }


def _score_split(
    pipeline: Pipeline, home: Home, snapshot: str, trained_key: str, load: Callable[[], Network], split: str
) -> dict[str, float]:
    sealed = open_snapshot(home, snapshot)
    if not sealed.manifest["splits"].get(split):
        return {}
    drawn = json_sha256([sealed.manifest["hashes"][f"{split}_rows"], FIT_ROWS])
    folder = home.path / "scores" / scores_key(trained_key, drawn, pipeline)
    if is_valid(folder, frozenset({METRICS})) is not None:
        from tasks.learning.scoring import score_network, scoring_of

        rows = measure_of(pipeline).draw_rows(sealed.frame(split), FIT_ROWS)
        if rows.empty:
            return {}
        how = scoring_of(pipeline.evaluation, pipeline.training.precision).without_text()
        scored = score_network(measure_of(pipeline), load(), rows.reset_index(drop=True), how)
        with atomic_folder(folder) as aside:
            (aside / METRICS).write_text(json.dumps({**scored.metrics, "rows": len(rows)}))
    return StoredScores(folder).metrics


@dataclass(frozen=True)
class Baselines:
    """The baselines' per-example primary scores (name -> (n,)) and metrics, on disk.

    Those that have metrics alone are no opponents of a model: they write texts, and give none a likelihood.
    """

    folder: Path

    @cached_property
    def scores(self) -> dict[str, npt.NDArray[np.float64]]:
        with np.load(self.folder / "scores.npz", allow_pickle=False) as arrays:
            places = {name: f"arr_{place}" for place, name in enumerate(self.metrics)}
            return {name: arrays[place] for name, place in places.items() if place in arrays.files}

    @cached_property
    def metrics(self) -> dict[str, dict[str, float]]:
        metrics: dict[str, dict[str, float]] = json.loads((self.folder / METRICS).read_text())
        return metrics

    @property
    def points(self) -> npt.NDArray[np.float32] | None:
        """(n, d) the untuned base's embeddings of the test rows, or None where no baseline needed them."""
        file = self.folder / POINTS
        return np.load(file) if file.is_file() else None

    @property
    def best(self) -> str:
        """The baseline whose mean primary score is highest."""
        return max(self.scores, key=lambda name: float(np.nanmean(self.scores[name])))


@dataclass(frozen=True)
class AllScores:
    """The scores of all models on the same test rows; `fit` are the challenger's metrics on rows of its training, by split.

    `added` is what a judge, or scorers of the user's own, say of the answers.
    """

    challenger: StoredScores
    champion: StoredScores | None
    anchor: StoredScores | None
    baselines: Baselines
    fit: dict[str, dict[str, float]] = field(default_factory=dict)
    added: AddedFindings | None = None


def lexical_baselines(
    pipeline: Pipeline, home: Home, base: Base, snapshot: str, beside: HelperProcess
) -> Future[tuple[ScoredBaseline, ...]] | None:
    """The Future of the baselines that need no network, fitted by the process `beside` in the background.

    None where all were fitted before.
    """
    from tasks.learning.scoring import fit_lexical

    if is_valid(_baselines(pipeline, home, base, snapshot)) is None:
        return None
    sealed = open_snapshot(home, snapshot)
    beside.step_back()
    train = [sealed.parquet(split) for split in fitted_splits(pipeline)]
    return beside.submit(fit_lexical, pipeline.last_objective, pipeline.problem, train, sealed.parquet("test"))


def _baselines(pipeline: Pipeline, home: Home, base: Base, snapshot: str) -> Path:
    hashes = open_snapshot(home, snapshot).manifest["hashes"]
    key = scores_key(
        json_sha256([hashes, base.digest, pipeline.training.refit, pipeline.model.max_length, "baselines"]), "", pipeline
    )
    return home.path / "scores" / key


@task(name="baselines", cache_policy=NO_CACHE)
def score_baselines(pipeline: Pipeline, home: Home, base: Base, snapshot: str, fitted: Any) -> Baselines:
    """Scores of the baselines that the model has to beat; fitted once per train and test rows, base and code.

    `fitted` is the result of `lexical_baselines`.
    """
    folder = _baselines(pipeline, home, base, snapshot)
    if is_valid(folder) is not None:
        import pandas as pd

        from tasks.learning.network import build_network
        from tasks.learning.scoring import score_opponents, scoring_of

        sealed, spec = open_snapshot(home, snapshot), training_material(pipeline, home, base, snapshot).spec
        fitted_rows = pd.concat([sealed.frame(split) for split in fitted_splits(pipeline)], ignore_index=True)
        untuned = build_network(replace(spec, adapter=Full().model_dump(mode="json")), base.path)
        test, how = sealed.frame("test"), scoring_of(pipeline.evaluation, pipeline.training.precision)
        scored = score_opponents(measure_of(pipeline), untuned, fitted_rows, test, fitted.result(), how)
        with atomic_folder(folder) as aside:
            opponents = {f"arr_{place}": each.scores for place, each in enumerate(scored.each) if each.scores is not None}
            np.savez(aside / "scores.npz", **opponents)  # type: ignore[arg-type]  # its own `allow_pickle` has a default
            metrics = {baseline.name: {**baseline.metrics, "seconds": baseline.seconds} for baseline in scored.each}
            if scored.points is not None:
                np.save(aside / POINTS, scored.points)
            (aside / METRICS).write_text(json.dumps(metrics))
    return Baselines(folder)


def primary_of(pipeline: Pipeline, scores: StoredScores) -> npt.NDArray[np.float64]:
    """(n,) the scores that the gate compares, per test row, higher is better; NaN as `Measure.primary_scores` has it."""
    return measure_of(pipeline).primary_scores(scores.frame)


def groups_of(scores: StoredScores) -> list[str] | None:
    """The group of each test row, which counts as one at the gate and in intervals; None where every row stands alone."""
    groups = scores.frame["group"]
    return groups.tolist() if groups.notna().any() else None


def measure_of(pipeline: Pipeline) -> Measure:
    """The measure of the models of a pipeline."""
    from tasks.learning import objectives

    return objectives.measure_of(pipeline.last_objective, pipeline.problem)


def network_of(trained: TrainingResult, base: Path) -> Network:
    """The network of a finished training."""
    from tasks.learning.network import TRAINABLE, build_network, read_spec

    return build_network(read_spec(trained.folder), base, trained.folder / TRAINABLE)
