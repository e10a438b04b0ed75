"""Score a network, and the opponents it has to be worth its cost against, row by row on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import numpy.typing as npt

from configs.schema import Evaluation, ProblemName
from tasks.learning.device import autocast, numerics
from tasks.learning.network import Network
from tasks.problems import baselines, metrics, text_classification, text_generation
from tasks.problems.metrics import generation

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
CENTROID_ROWS = 128  # of each class: as good as all (helpdesk 0.577 of 0.582, banking77 0.851 of 0.850; 32 of each 0.509 and 0.836)
PRIMARY = {"text-classification": "accuracy", "text-generation": "nll_per_token"}


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Per-example scores, the metrics over all of them, and for classification probabilities (n, labels)."""

    frame: pd.DataFrame
    metrics: dict[str, float]
    said: text_classification.ClassScores | None


@dataclass(frozen=True, eq=False)
class Opponents:
    """All baselines; `points` are the untuned base's mean embeddings of the test rows (n, d), where one of them needed those."""

    each: tuple[Opponent, ...]
    points: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Opponent:
    """A baseline: its primary score per test row, higher is better, and its metrics."""

    name: str
    scores: Floats
    metrics: dict[str, float]
    seconds: float


def score_network(network: Network, rows: pd.DataFrame, evaluation: Evaluation, precision: Any) -> ScoredRows:
    """Score `rows` (canonical columns), read as the network reads texts; the order is kept."""
    rows = network.spec.read_rows(rows)
    match network.spec.problem:
        case "text-classification":
            ids = text_classification.encode(network.tokenizer, rows["text"].tolist(), network.spec.max_length)
            how = autocast(numerics(precision))
            logits = text_classification.in_batches(network.model, ids, network.pad_id, evaluation.batch_size, how)
            return classification_frame(rows, network.spec.scores(logits, network.spec.labels))
        case "text-generation":
            return _generated(network, rows, evaluation, precision)
        case _:
            assert_never(network.spec.problem)


def classification_frame(rows: pd.DataFrame, said: text_classification.ClassScores) -> ScoredRows:
    """Frame and metrics of a classifier's probabilities, over its labels and those of the rows together."""
    frame = text_classification.per_example(rows, said)
    labels = sorted({*said.labels, *rows["target"]})
    code = {label: place for place, label in enumerate(labels)}
    wide = np.zeros((len(rows), len(labels)))
    wide[:, [code[label] for label in said.labels]] = said.probabilities
    targets = np.array([code[label] for label in frame["target"]])
    predictions = np.array([code[label] for label in frame["prediction"]])
    return ScoredRows(frame, metrics.classification_metrics(targets, predictions, wide, labels), said)


def primary_scores(problem: ProblemName, frame: pd.DataFrame) -> Floats:
    """What the gate compares, per row and higher is better: right or wrong; or the mean log-likelihood of a token, in nats."""
    match problem:
        case "text-classification":
            return frame["correct"].to_numpy(np.float64)
        case "text-generation":
            return (frame["log_likelihood"] / frame["tokens"]).to_numpy(np.float64)
        case _:
            assert_never(problem)


def score_opponents(
    network: Network,
    train: pd.DataFrame,
    test: pd.DataFrame,
    lexical: Sequence[baselines.Baseline],
    evaluation: Evaluation,
    precision: Any,
) -> Opponents:
    """The baselines of a problem, fitted on the training rows; `network` is the base before any training, and reads as it does.

    `lexical` are those that `baselines.lexical` has fitted already, because they need no network.
    """
    train, test = network.spec.read_rows(train), network.spec.read_rows(test)
    match network.spec.problem:
        case "text-classification":
            return _classifying(network, train, test, lexical, evaluation, precision)
        case "text-generation":
            return Opponents(_writing(network, train, test, evaluation, precision))
        case _:
            assert_never(network.spec.problem)


def _classifying(
    network: Network,
    train: pd.DataFrame,
    test: pd.DataFrame,
    lexical: Sequence[baselines.Baseline],
    evaluation: Evaluation,
    precision: Any,
) -> Opponents:
    known, wanted, labels = baselines.encode_labels(train["target"], test["target"])
    few = baselines.few_of_each(known, CENTROID_ROWS)
    ids = [
        text_classification.encode(network.tokenizer, frame["text"].tolist(), network.spec.max_length)
        for frame in (train.iloc[few], test)
    ]
    how = autocast(numerics(precision))
    size = evaluation.batch_size
    near = [text_classification.in_batches(network.model, rows, network.pad_id, size, how, embeddings=True) for rows in ids]
    found = (*lexical, baselines.nearest_centroid(near[0], known[few], near[1], wanted, len(labels)))
    each = tuple(
        Opponent(
            each.name,
            each.correct.astype(np.float64),
            metrics.classification_metrics(wanted, each.predictions, each.probabilities, labels),
            each.seconds,
        )
        for each in found
    )
    return Opponents(each, near[1] if network.model.pooling == "mean" else None)  # monitors compare means over tokens


def _writing(
    network: Network, train: pd.DataFrame, test: pd.DataFrame, evaluation: Evaluation, precision: Any
) -> tuple[Opponent, ...]:
    rows = [text_generation.encode(network.tokenizer, frame, network.spec.max_length) for frame in (train, test)]
    answers = [[[token for token in row["labels"] if token != text_generation.IGNORED] for row in part] for part in rows]
    size = len(network.tokenizer)
    floor = (baselines.unigram_scores(answers[0], answers[1], size), baselines.bigram_scores(answers[0], answers[1], size))
    untuned = _generated(network, test, evaluation.model_copy(update={"decode_rows": 0}), precision)
    own = Opponent("base model", primary_scores("text-generation", untuned.frame), untuned.metrics, 0.0)
    return (
        *(
            Opponent(
                each.name,
                each.log_likelihood / each.tokens,
                metrics.generation_metrics(each.log_likelihood, each.tokens),
                each.seconds,
            )
            for each in floor
        ),
        own,
    )


def _generated(network: Network, rows: pd.DataFrame, evaluation: Evaluation, precision: Any) -> ScoredRows:
    encoded = text_generation.encode(network.tokenizer, rows, network.spec.max_length)
    how = autocast(numerics(precision))
    likelihood = text_generation.log_likelihoods(network.model, encoded, network.pad_id, evaluation.batch_size, how)
    decoded = rows.iloc[: evaluation.decode_rows]
    said: Sequence[str] = ()
    if len(decoded):
        said = text_generation.generate_answers(
            network.model, network.tokenizer, decoded["text"].tolist(), network.spec.max_length, evaluation.max_new_tokens,
            evaluation.batch_size,
        )  # fmt: skip
    written: list[str | None] = [*said, *[None] * (len(rows) - len(said))]
    found = metrics.generation_metrics(likelihood[:, 0], likelihood[:, 1].astype(np.int64), written, rows["target"].tolist())
    kept = [name for name in rows.columns if name in ("id", "target", "time", "group") or name.startswith("slice_")]
    answers, references = list(said), decoded["target"].tolist()
    rest = [np.nan] * (len(rows) - len(said))
    frame = rows[kept].assign(
        log_likelihood=likelihood[:, 0],
        tokens=likelihood[:, 1].astype(np.int64),
        prediction=np.array(written, dtype=object),
        exact_match=np.array([*generation.exact_matches(answers, references), *rest], dtype=np.float64),
        rouge_l=np.array([*generation.rouge_l(answers, references), *rest], dtype=np.float64),
    )
    return ScoredRows(frame, found, None)
