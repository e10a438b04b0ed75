"""text-ranking: a query and a document beside it through an encoder, its pooling and one number: how relevant the document is.

Rows of the same query are candidates that are ranked against one another; a query has one score, and counts as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from configs.schema import Supervised
from tasks.data.numbers import format_number, read_numbers, round_answers
from tasks.data.text_parts import split_parts
from tasks.problems.baselines import ranking as baselines
from tasks.problems.encoder_head import EncoderHead, text_logits, text_vectors
from tasks.problems.metrics.ranking import QueryScores, score_query
from tasks.problems.types import (
    Adapt,
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

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase


class TextRanking(EncoderHead):
    """Queries with documents in, their relevance out. The loss is binary cross-entropy of relevance as a share of the greatest."""

    trivial_baseline = baselines.RANDOM
    wanted_network = "text-ranking needs a network that reads text, and transformers has none of this kind: name another base"

    # --- the network ---

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        """The greatest relevance, which answers are shares of, and the mean share, which the head starts from."""
        numbers = read_numbers(targets)
        greatest = float(numbers.max()) or 1.0
        return replace(spec, spread=greatest, shares=(float((numbers.sum() / greatest + 1) / (len(numbers) + 2)),))

    def head_size(self, spec: Spec) -> int:
        return 1

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        import torch

        model, spec = super().build_model(spec, base, tokenizer, adapt)
        if spec.head == "new" and spec.shares:
            with torch.no_grad():
                model.head.bias.copy_(torch.logit(torch.tensor(spec.shares)))  # type: ignore[union-attr,operator]
        return model, spec

    def encode_target(self, spec: Spec, target: str) -> float:
        return min(max(float(target) / spec.spread, 0.0), 1.0)

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return _relevance_loss

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        return [NetworkAnswer(format_number(number), None) for number in _relevances(spec, logits).tolist()]

    # --- scores ---

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        logits = text_logits(network, rows["text"].tolist(), how.evaluation.batch_size, how.autocast)
        predictions = [answer.prediction for answer in self.read_logits(network.spec, logits)]
        queries = _codes_of_queries(rows["text"])
        ndcg, metrics = _rank(logits[:, 0].astype(np.float64), read_numbers(rows["target"]), queries)
        frame = rows[stored_columns(rows)].assign(prediction=predictions, query=queries, ndcg=ndcg)
        return ScoredRows(frame, metrics)

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=1.0)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """nDCG@10 of each query, in its first row; none of a query without a relevant document."""
        return frame["ndcg"].to_numpy(np.float64)

    def whole_units(self, frame: pd.DataFrame, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        queries = frame["query"].to_numpy()
        return ~np.isin(queries, queries[~rows])

    def draw_rows(self, rows: pd.DataFrame, most: int) -> pd.DataFrame:
        """Whole queries, in random order, until there are `most` rows."""
        queries = _codes_of_queries(rows["text"])
        order = np.random.default_rng(0).permutation(queries.max() + 1)
        chosen = order[: max(1, int(np.searchsorted(np.bincount(queries)[order].cumsum(), most, side="right")))]
        return rows[np.isin(queries, chosen)]

    # --- opponents ---

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        (_, known), (queries, documents) = _both_parts(train["text"]), _both_parts(test["text"])
        rules = (
            baselines.random_order(len(test)),
            baselines.bm25([*known, *documents], queries, documents),
            baselines.tfidf_cosine([*known, *documents], queries, documents),
        )
        return tuple(_scored_baseline(each, test) for each in rules)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        first, second = (text_vectors(network, texts, how) for texts in _both_parts(test["text"]))
        return ScoredBaselines((*lexical, _scored_baseline(baselines.embedding_cosine(first, second), test)))


def _both_parts(texts: Sequence[str] | pd.Series) -> tuple[list[str], list[str]]:
    """The queries and the documents of rows."""
    parts = [[*split_parts(text), ""][:2] for text in texts]
    return [query for query, _ in parts], [document for _, document in parts]


def _codes_of_queries(texts: Sequence[str] | pd.Series) -> npt.NDArray[np.int64]:
    """(n,) the number of each row's query, in the order of their first rows."""
    codes: dict[str, int] = {}
    return np.array([codes.setdefault(split_parts(text)[0], len(codes)) for text in texts], dtype=np.int64)


def _relevances(spec: Spec, logits: npt.NDArray[np.float32]) -> Floats:
    """The answers (n,) of logits (n, 1): from 0 to the greatest relevance of the training rows."""
    from scipy.special import expit

    exact = spec.spread * expit(logits[:, 0].astype(np.float64)) if len(logits) else np.empty(0)
    return round_answers(exact)


def _rank(scores: Floats, relevances: Floats, queries: npt.NDArray[np.int64]) -> tuple[Floats, dict[str, float]]:
    """nDCG@10 in the first row of each query (n,), NaN elsewhere, and the means over queries that have a relevant document."""
    ndcg, of_query = np.full(len(scores), np.nan), list[QueryScores]()
    order = np.argsort(queries, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(queries[order])) + 1):
        if (relevances[rows] > 0).any():
            of_query.append(score_query(scores[rows], relevances[rows]))
            ndcg[rows[0]] = of_query[-1].ndcg
    if not of_query:
        raise InputError(
            "data: no query of these rows has a document of a relevance above 0, so no order of them is better than another: "
            "add rows with relevant documents"
        )
    means = np.array([[each.ndcg, each.reciprocal_rank, each.recall_1, each.recall_10] for each in of_query]).mean(axis=0)
    values = dict(zip(("ndcg_at_10", "mrr", "recall_at_1", "recall_at_10"), map(float, means), strict=True))
    return ndcg, {**values, "queries": float(len(of_query)), "queries_left_out": float(queries.max() + 1 - len(of_query))}


def _relevance_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Binary cross-entropy towards shares, summed over rows, divided by the rows of the accumulated batch."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    rows = binary_cross_entropy_with_logits(outputs["logits"][:, 0], labels.float(), reduction="sum")
    return rows / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def _scored_baseline(baseline: baselines.RankingBaseline, test: pd.DataFrame) -> ScoredBaseline:
    ndcg, metrics = _rank(baseline.scores, read_numbers(test["target"]), _codes_of_queries(test["text"]))
    return ScoredBaseline(baseline.name, ndcg, metrics, baseline.seconds)
