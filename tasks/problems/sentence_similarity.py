"""sentence-similarity: how alike two texts are, by the cosine of their vectors, learned from pairs with a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.schema import Supervised
from tasks.data.numbers import format_number, read_numbers, round_answers
from tasks.problems.baselines import ranking as baselines
from tasks.problems.encoder_head import text_vectors
from tasks.problems.metrics.similarity import rank_agreement, similarity_metrics, standard_ranks
from tasks.problems.types import (
    DifferenceScale,
    EncodedRows,
    Floats,
    Loss,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    stored_columns,
)
from tasks.problems.vector_encoder import SCALE, VectorEncoder, both_parts, cosines, vectors_of

if TYPE_CHECKING:
    import pandas as pd
    import torch

SAME = "the same similarity for all pairs"


class SentenceSimilarity(VectorEncoder):
    """Pairs of texts in, their similarity out: a cosine of 0 is the least score of the training rows, 1 the greatest."""

    trivial_baseline = SAME
    wanted_network = (
        "sentence-similarity needs a network that reads text, and transformers has none of this kind: name another base"
    )

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        numbers = read_numbers(targets)
        return replace(spec, location=float(numbers.min()), spread=float(np.ptp(numbers)) or 1.0)

    def encode_labels(self, spec: Spec, texts: Sequence[Sequence[int]], target: str, group: str | None) -> list[float]:
        return [(float(target) - spec.location) / spec.spread]

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return order_loss

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        numbers = spec.location + spec.spread * cosines(logits)
        return [NetworkAnswer(format_number(number), None) for number in round_answers(numbers).tolist()]

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        vectors = vectors_of(network, self.network_inputs(rows["text"].tolist()), how)
        predictions, alike = [answer.prediction for answer in self.read_logits(network.spec, vectors)], cosines(vectors)
        targets = read_numbers(rows["target"])
        frame = rows[stored_columns(rows)].assign(prediction=predictions, agreement=rank_agreement(targets, alike))
        return ScoredRows(frame, similarity_metrics(targets, alike))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        """Two models' agreements with a row differ by what the furthest standardised ranks allow, at the most."""
        ranks = np.abs(standard_ranks(read_numbers(targets)))
        return DifferenceScale(largest=float((ranks.max(initial=0.0) + np.sqrt(3)) ** 2 / 2))

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """Each row's part in Spearman's rank correlation, whose mean is just that."""
        return frame["agreement"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        known = [part for text in (*train["text"], *test["text"]) for part in both_parts(text)]
        first, second = zip(*map(both_parts, test["text"]), strict=True)
        same = baselines.RankingBaseline(SAME, np.zeros(len(test)), 0.0)
        return tuple(_scored_baseline(each, test) for each in (same, baselines.tfidf_cosine(known, first, second)))

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        first, second = (text_vectors(network, texts, how) for texts in zip(*map(both_parts, test["text"]), strict=True))
        return ScoredBaselines((*lexical, _scored_baseline(baselines.embedding_cosine(first, second), test)))


def _scored_baseline(baseline: baselines.RankingBaseline, test: pd.DataFrame) -> ScoredBaseline:
    targets = read_numbers(test["target"])
    scores = rank_agreement(targets, baseline.scores)
    return ScoredBaseline(baseline.name, scores, similarity_metrics(targets, baseline.scores), baseline.seconds)


def order_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """CoSENT (Su 2022): of each two pairs in the batch the one with the higher score is to have the higher cosine.

    log(1 + sum exp(SCALE * (cosine of the lower - cosine of the higher))), which counts for the rows of the batch.
    """
    import torch

    first, second = outputs["logits"].view(2, len(labels), -1)
    alike, scores = SCALE * (first * second).sum(-1), labels[:, 0]
    gaps = alike[:, None] - alike[None, :]
    gaps = gaps.masked_fill(scores[:, None] >= scores[None, :], -torch.inf).flatten()
    loss = torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), dim=0)
    return loss * (1.0 if num_items_in_batch is None else len(labels) / num_items_in_batch)
