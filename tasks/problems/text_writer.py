"""The base of problems whose answers are texts: scored by the likelihood of the target and by the answer, row by row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tasks.problems import metrics
from tasks.problems.base import Problem
from tasks.problems.baselines import language as baselines
from tasks.problems.metrics import generation
from tasks.problems.types import (
    Autocast,
    DifferenceScale,
    Example,
    Floats,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.seq2seq import PairedTokenizer

MOST_NATS = 5.0  # a token that two models' likelihoods of a row may differ by at the gate
BASE = "base model"  # the baseline that is the base as it is


class TextWriter(Problem):
    """Texts in, texts out.

    Two models' mean log-likelihoods of a row's tokens differ by 5 nats at the most at the gate; a larger difference counts as this.
    At 5 each token of a target is e^5 = 148 times less likely, about half of the way from certainty to a uniform guess over a
    vocabulary of 50,000 (log 50,000 = 10.8). A smaller limit would count a ruined answer for too little; a larger one asks for more
    rows.
    """

    text_columns = ("text", "target")
    trivial_baseline = baselines.UNIGRAM
    text_scores: ClassVar[tuple[str, ...]] = ("exact_match", "rouge_l")  # of answers, as `generation.TEXT_SCORES` has them
    decodes_base: ClassVar[bool] = False  # whether the answers of the base, before any training, are worth their time

    # --- what a problem of this kind adds ---

    @abstractmethod
    def log_likelihoods(self, network: Network, examples: list[Example], batch_size: int, autocast: Autocast) -> Floats:
        """(n, 2): the summed log-likelihood of each target in nats, and its number of tokens."""

    @abstractmethod
    def write_answers(self, network: Network, texts: Sequence[str], new_tokens: int, batch_size: int) -> list[str]:
        """Greedy answers to texts, read as the network reads them, in their order: the same every time."""

    @abstractmethod
    def target_tokens(self, example: Example) -> list[int]:
        """The tokens of an encoded row's target, its end included."""

    @abstractmethod
    def vocabulary_size(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer) -> int:
        """The number of tokens that targets are made of."""

    # --- the contract ---

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        evaluation, examples = how.evaluation, self.encode_rows(network.tokenizer, network.spec, rows)
        likelihood = self.log_likelihoods(network, examples, evaluation.batch_size, how.autocast)
        texts = rows["text"].tolist()[: evaluation.decode_rows]
        answers = self.write_answers(network, texts, evaluation.max_new_tokens, evaluation.batch_size) if texts else []
        return score_texts(rows, likelihood, answers, self.text_scores)

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=MOST_NATS)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The mean log-likelihood of a token, in nats."""
        return (frame["log_likelihood"] / frame["tokens"]).to_numpy(np.float64)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """The shares of tokens, alone and given the one before, and the base as it is."""
        examples = [self.encode_rows(network.tokenizer, network.spec, rows) for rows in (train, test)]
        known, held_out = ([self.target_tokens(example) for example in part] for part in examples)
        size = self.vocabulary_size(network.tokenizer)
        fitted = (baselines.unigram_scores(known, held_out, size), baselines.bigram_scores(known, held_out, size))
        untuned = self.score_rows(network, test, how if self.decodes_base else how.without_text())
        own = ScoredBaseline(BASE, self.primary_scores(untuned.frame), untuned.metrics, 0.0)
        return ScoredBaselines((*(_scored_baseline(each) for each in fitted), own))

    def answer_texts(
        self, network: Network, texts: Sequence[str], new_tokens: int, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        return [NetworkAnswer(text, None) for text in self.write_answers(network, network.spec.read(texts), new_tokens, batch_size)]


def _scored_baseline(baseline: baselines.TokenBaseline) -> ScoredBaseline:
    scores = metrics.generation_metrics(baseline.log_likelihood, baseline.tokens)
    return ScoredBaseline(baseline.name, baseline.log_likelihood / baseline.tokens, scores, baseline.seconds)


def score_texts(rows: pd.DataFrame, likelihood: npt.NDArray[np.float64], answers: list[str], names: Sequence[str]) -> ScoredRows:
    """Frame and metrics of rows with their targets' log-likelihoods and token counts (n, 2); `answers` to the first of them.

    `names` are the scores to give each answer.
    """
    references, rest = rows["target"].tolist()[: len(answers)], [None] * (len(rows) - len(answers))
    predictions, tokens = [*answers, *rest], likelihood[:, 1].astype(np.int64)
    frame = rows[stored_columns(rows)].assign(
        log_likelihood=likelihood[:, 0],
        tokens=tokens,
        prediction=np.array(predictions, dtype=object),
        **{name: np.array([*generation.TEXT_SCORES[name](answers, references), *rest], dtype=np.float64) for name in names},
    )
    return ScoredRows(frame, metrics.generation_metrics(likelihood[:, 0], tokens, predictions, rows["target"].tolist(), names))
