"""The reference of a version's traffic: its own answers to test rows as they came, and their embeddings by the untuned base."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from prefect.cache_policies import NO_CACHE

from configs.errors import InfraError
from configs.schema import Pipeline
from tasks.common.bases import Base
from tasks.common.files import atomic_folder, is_valid
from tasks.common.home import Home
from tasks.common.orchestration import task
from tasks.context import TrainingRun
from tasks.data.label_sets import set_scores
from tasks.data.redaction.placeholders import network_view
from tasks.data.text_stats import text_stats_of
from tasks.evaluate import Baselines, StoredScores, network_of
from tasks.problems.metrics.answers import answer_lengths, answers_f1
from tasks.snapshots import open_snapshot
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy.typing as npt
    import pandas as pd

    from tasks.common.processes import HelperProcess
    from tasks.data.snapshot.snapshot import Snapshot
    from tasks.learning.fit import TrainingResult

ROWS, POINTS, WORDS = "reference.parquet", "points.npy", "vocabulary.json"


@dataclass(frozen=True)
class TrafficReference:
    """`rows`: id, text, target, time, prediction, score, correct, `error` of a number, text statistics; `points` (n, d) of them;
    the words of training.

    Texts are as the version reads them (`Spec.read`).
    """

    rows: pd.DataFrame
    points: npt.NDArray[np.float32]
    vocabulary: frozenset[str]


@dataclass(frozen=True)
class ScoredModel:
    """A trained model with its scores; `baselines` are those of its own base, None where there are none.

    `text_stats` is the result of `begin_text_stats`.
    """

    trained: TrainingResult
    scores: StoredScores
    baselines: Baselines | None
    text_stats: Future[pd.DataFrame]


@task(name="reference", cache_policy=NO_CACHE)
def write_reference(pipeline: Pipeline, home: Home, tracking: Tracking, run: TrainingRun, model: ScoredModel) -> None:
    """Write a version's reference into its run, once; answers that were scored before are read, not scored again."""
    trained, base = model.trained, run.base
    folder = trained.folder.parent / "reference"
    if tracking.tags(run.run_id).get("reference") == run.snapshot:
        return
    import pandas as pd

    from tasks.learning.network import read_spec
    from tasks.problems import problem_of

    sealed, spec = open_snapshot(home, run.snapshot), read_spec(trained.folder)
    rows, problem = sealed.frame("reference"), problem_of(spec.problem)
    frames = (rows, sealed.frame("test"))
    asked, scored = (
        problem.read_rows(spec, pd.DataFrame({"text": _texts(each), "target": ""}))["text"].tolist() for each in frames
    )
    known = {text: place for place, text in enumerate(scored)}
    answers = _answer_columns(pipeline, base, trained, model.scores.frame, asked, known)
    texts, known = spec.read(asked), {text: place for place, text in enumerate(spec.read(scored))}
    rows = rows[["id", "text", "target", "time"]].assign(text=texts, **answers)
    if pipeline.facts.is_number:
        rows["error"] = (pd.to_numeric(rows["prediction"]) - pd.to_numeric(rows["target"], errors="coerce")).abs()
    if pipeline.facts.finds_answers:
        rows["answer_length"] = answer_lengths(rows["prediction"].tolist(), asked)
    rows["correct"] = _correctness(pipeline, rows, asked)
    rows = rows.join(model.text_stats.result())
    with atomic_folder(folder) as aside:
        rows.to_parquet(aside / ROWS, index=False)
        np.save(aside / POINTS, _embed_texts(pipeline, base, model.baselines, texts, known).astype(np.float16))
        (aside / WORDS).write_text(json.dumps(sorted(_training_words(sealed))))
    tracking.log_folder(run.run_id, folder, "reference")
    tracking.tag(run.run_id, {"reference": run.snapshot})


def _correctness(pipeline: Pipeline, rows: pd.DataFrame, asked: list[str]) -> list[float] | pd.Series:
    """By row 1 where the prediction is right, else 0, of sets of labels and of answers in texts their F1; NaN where there is no
    prediction or no target."""
    if pipeline.facts.has_label_sets:
        return set_scores(rows["prediction"].tolist(), rows["target"].tolist())
    if pipeline.facts.finds_answers:
        return answers_f1(rows["prediction"].tolist(), rows["target"].tolist(), asked)
    has_both = rows["prediction"].notna() & rows["target"].notna()
    return (rows["prediction"] == rows["target"]).where(has_both).astype("float64")


def begin_text_stats(home: Home, snapshot: str, beside: HelperProcess) -> Future[pd.DataFrame]:
    """Let the process `beside` compute the statistics of a snapshot's reference texts."""
    sealed = open_snapshot(home, snapshot)
    stats: Future[pd.DataFrame] = beside.submit(
        text_stats_of, network_view(_texts(sealed.frame("reference"))), _training_words(sealed)
    )
    return stats


def _texts(rows: pd.DataFrame) -> list[str]:
    texts: list[str] = rows["text"].fillna("").tolist()
    return texts


def _training_words(sealed: Snapshot) -> frozenset[str]:
    """The words of training."""
    return frozenset(sealed.manifest["vocabulary"]["words"])


def read_reference(home: Home, tracking: Tracking, model: str, version: str) -> TrafficReference:
    """A version's reference, fetched once; InfraError where it has none, as one that was registered by other means."""
    import pandas as pd

    run_id = tracking.version_tags(model, version)["run_id"]
    folder = home.path / "references" / run_id / "reference"
    if is_valid(folder, frozenset({ROWS, POINTS, WORDS})) is not None:
        if tracking.tags(run_id).get("reference") is None:
            raise InfraError(
                f"{model} version {version} has no reference to hold traffic against: retrain, or promote one that has"
            )
        tracking.fetch(tracking.artifact_uri(run_id, "reference"), folder.parent)
    points = np.load(folder / POINTS).astype(np.float32)
    return TrafficReference(pd.read_parquet(folder / ROWS), points, frozenset(json.loads((folder / WORDS).read_text())))


def _answer_columns(
    pipeline: Pipeline, base: Base, trained: TrainingResult, scored: pd.DataFrame, texts: list[str], known: dict[str, int]
) -> dict[str, list[str] | list[float] | float | None]:
    """`prediction` and `score` of each text: as scored on the test rows, else now; none where the answer is written text."""
    if pipeline.facts.writes_text:
        return {"prediction": None, "score": np.nan}
    from tasks.learning.device import autocast, numerics
    from tasks.problems import problem_of
    from tasks.problems.types import Writing

    predictions = scored["prediction"].tolist()
    confidence = scored["confidence"].tolist() if "confidence" in scored else [np.nan] * len(scored)
    answer_of = {text: (predictions[row], confidence[row]) for text, row in known.items()}
    missing = [text for text in dict.fromkeys(texts) if text not in answer_of]
    if missing:
        network, how = network_of(trained, base.path), autocast(numerics(pipeline.training.precision))
        answers = problem_of(pipeline.problem).answer_texts(network, missing, Writing(0), pipeline.evaluation.batch_size, how)
        scores = [np.nan if answer.score is None else answer.score for answer in answers]
        answer_of |= {text: (answer.prediction, score) for text, answer, score in zip(missing, answers, scores, strict=True)}
    return {"prediction": [answer_of[text][0] for text in texts], "score": [answer_of[text][1] for text in texts]}


def _embed_texts(
    pipeline: Pipeline, base: Base, baselines: Baselines | None, texts: list[str], known: dict[str, int]
) -> npt.NDArray[np.float32]:
    from tasks.learning.embedding import embed_texts, unit_rows

    held_out = baselines.points if baselines else None
    if held_out is None:
        return embed_texts(base.path, texts, pipeline.model.max_length, pipeline.training.precision)
    held_out = unit_rows(held_out)
    points = np.empty((len(texts), held_out.shape[1]), dtype=np.float32)
    new = [row for row, text in enumerate(texts) if text not in known]
    old = [row for row, text in enumerate(texts) if text in known]
    points[old] = held_out[[known[texts[row]] for row in old]]
    if new:
        points[new] = embed_texts(base.path, [texts[row] for row in new], pipeline.model.max_length, pipeline.training.precision)
    return points
