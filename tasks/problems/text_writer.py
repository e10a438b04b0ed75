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
from tasks.problems.metrics.generation import TextMetrics
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
    Spec,
    Writing,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from configs.schema import Evaluation
    from tasks.problems.baselines.written import WrittenBaseline
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
    text_scores: ClassVar[tuple[str, ...]] = ("exact_match", "rouge_l", "chrf")  # of answers, as `TextMetrics` names them
    decodes_base: ClassVar[bool] = False  # whether the answers of the base, before any training, are worth their time

    # --- what a problem of this kind adds ---

    @abstractmethod
    def log_likelihoods(self, network: Network, examples: list[Example], batch_size: int, autocast: Autocast) -> Floats:
        """(n, 2): the summed log-likelihood of each target in nats, and its number of tokens."""

    @abstractmethod
    def write_answers(self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int) -> list[str]:
        """Answers to texts, read as the network reads them, in their order: the same every time."""

    @abstractmethod
    def target_tokens(self, example: Example) -> list[int]:
        """The tokens of an encoded row's target, its end included."""

    @abstractmethod
    def vocabulary_size(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer) -> int:
        """The number of tokens that targets are made of."""

    def encode_answers(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Rows as `encode_rows` gives them, with labels on the target alone, whatever else is learned from a row."""
        return self.encode_rows(tokenizer, spec, rows)

    # --- the contract ---

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        evaluation, examples = how.evaluation, self.encode_answers(network.tokenizer, network.spec, rows)
        likelihood = self.log_likelihoods(network, examples, evaluation.batch_size, how.autocast)
        texts = rows["text"].tolist()[: evaluation.decode_rows]
        writing = Writing(evaluation.max_new_tokens, evaluation.decoding)
        answers = self.write_answers(network, texts, writing, evaluation.batch_size) if texts else []
        return score_texts(rows, likelihood, answers, self.text_metrics(evaluation))

    def text_metrics(self, evaluation: Evaluation) -> TextMetrics:
        """How answers are scored."""
        return TextMetrics(self.text_scores, evaluation.bleu_tokenizer)

    def written_baselines(self, train: pd.DataFrame, test: pd.DataFrame, new_tokens: int) -> tuple[WrittenBaseline, ...]:
        """Answers to the test rows by rules, chosen on the train rows, of `new_tokens` words at the most; by default none."""
        return ()

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=MOST_NATS)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The mean log-likelihood of a token, in nats."""
        return (frame["log_likelihood"] / frame["tokens"]).to_numpy(np.float64)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """The shares of tokens, alone and given the one before, the base as it is, and answers that a rule writes."""
        examples = [self.encode_answers(network.tokenizer, network.spec, rows) for rows in (train, test)]
        known, held_out = ([self.target_tokens(example) for example in part] for part in examples)
        size = self.vocabulary_size(network.tokenizer)
        fitted = (baselines.unigram_scores(known, held_out, size), baselines.bigram_scores(known, held_out, size))
        untuned = self.score_rows(network, test, how if self.decodes_base else how.without_text())
        own = ScoredBaseline(BASE, self.primary_scores(untuned.frame), untuned.metrics, 0.0)
        return ScoredBaselines((*(_scored_baseline(each) for each in fitted), own, *self._score_written(train, test, how)))

    def _score_written(self, train: pd.DataFrame, test: pd.DataFrame, how: Scoring) -> list[ScoredBaseline]:
        """The baselines that write texts, over the rows that models write answers to."""
        evaluation, decoded = how.evaluation, test[: how.evaluation.decode_rows]
        if not len(decoded):
            return []
        references, scored_by = decoded["target"].tolist(), self.text_metrics(evaluation)
        return [
            ScoredBaseline(each.name, None, metrics.text_metrics(each.answers, references, scored_by), each.seconds)
            for each in self.written_baselines(train, decoded, evaluation.max_new_tokens)
        ]

    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        return [NetworkAnswer(text, None) for text in self.write_answers(network, network.spec.read(texts), writing, batch_size)]


def _scored_baseline(baseline: baselines.TokenBaseline) -> ScoredBaseline:
    scores = metrics.generation_metrics(baseline.log_likelihood, baseline.tokens)
    return ScoredBaseline(baseline.name, baseline.log_likelihood / baseline.tokens, scores, baseline.seconds)


def score_texts(rows: pd.DataFrame, likelihood: npt.NDArray[np.float64], answers: list[str], text: TextMetrics) -> ScoredRows:
    """Frame and metrics of rows with their targets' log-likelihoods and token counts (n, 2); `answers` to the first of them.

    `text` names the scores to give each answer.
    """
    references, rest = rows["target"].tolist()[: len(answers)], [None] * (len(rows) - len(answers))
    predictions, tokens = [*answers, *rest], likelihood[:, 1].astype(np.int64)
    by_row = text.score_rows(answers, references)
    frame = rows[stored_columns(rows)].assign(
        log_likelihood=likelihood[:, 0],
        tokens=tokens,
        prediction=np.array(predictions, dtype=object),
        **{name: np.array([*scores, *rest], dtype=np.float64) for name, scores in by_row.items()},
    )
    measured = metrics.generation_metrics(likelihood[:, 0], tokens, predictions, rows["target"].tolist(), text)
    return ScoredRows(frame, measured, signatures=text.signatures() if answers else {})
