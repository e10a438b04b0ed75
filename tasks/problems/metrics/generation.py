"""The numbers of written text: likelihood per token over all rows, and how near decoded answers are to their references."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = NDArray[np.float64]
WORD = re.compile(r"[^\W_]+")


def checked_likelihoods(log_likelihoods: ArrayLike, tokens: ArrayLike) -> tuple[Floats, Floats]:
    """Sums (n,) in nats and token counts (n,); ValueError where they differ in length, are not finite, or a row has no token."""
    sums, lengths = np.asarray(log_likelihoods, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    if sums.ndim != 1 or sums.shape != lengths.shape or sums.size == 0:
        raise ValueError(
            f"log-likelihoods {sums.shape} and tokens {lengths.shape} must be two columns of the same length, at least one row"
        )
    if not np.isfinite(sums).all() or sums.max() > 0:
        raise ValueError("a log-likelihood is positive or not finite: pass the sum of log-probabilities of the completion's tokens")
    if lengths.min() < 1:
        raise ValueError(f"row {int(lengths.argmin())} has no completion token: leave out rows with an empty completion")
    return sums, lengths


def nll_per_token(log_likelihoods: Floats, tokens: Floats) -> float:
    """Mean negative log-likelihood per token over the whole corpus, in nats: long rows count for their tokens."""
    return float(-log_likelihoods.sum() / tokens.sum())


def perplexity(log_likelihoods: Floats, tokens: Floats) -> float:
    """exp of `nll_per_token`; infinite, not an error, where that exceeds what float64 can hold."""
    with np.errstate(over="ignore"):
        return float(np.exp(nll_per_token(log_likelihoods, tokens)))


def exact_matches(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """1.0 where the texts are equal but for white space at the ends and its amount between words, else 0.0 (n,)."""
    _check_same_length(predictions, references)
    return np.array(
        [" ".join(p.split()) == " ".join(r.split()) for p, r in zip(predictions, references, strict=True)], dtype=np.float64
    )


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """F-measure of the longest common subsequence of words per row (n,), by rouge_score without stemming.

    Its own tokenizer drops every letter outside a-z, which scores all Russian or Greek as 0; this one keeps the letters and digits
    of every script, in lower case, and splits ASCII text alike.
    """
    from rouge_score.rouge_scorer import RougeScorer

    _check_same_length(predictions, references)
    scorer = RougeScorer(["rougeL"], tokenizer=UnicodeWords())
    return np.array([scorer.score(r, p)["rougeL"].fmeasure for p, r in zip(predictions, references, strict=True)], dtype=np.float64)


def chrf(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """F-score of character n-grams up to 6 per row (n,), 0 to 1 (Popovic 2015, chrF2), by sacrebleu."""
    from sacrebleu.metrics.chrf import CHRF

    _check_same_length(predictions, references)
    scorer = CHRF()  # which leaves out the n-grams that are longer than a text
    return np.array(
        [scorer.sentence_score(p, [r]).score / 100 for p, r in zip(predictions, references, strict=True)], dtype=np.float64
    )


def corpus_chrf(predictions: Sequence[str], references: Sequence[str]) -> float:
    """chrF2 of all rows together, whose n-grams are counted as those of one text, 0 to 1."""
    from sacrebleu.metrics.chrf import CHRF

    _check_same_length(predictions, references)
    return float(CHRF().corpus_score(list(predictions), [list(references)]).score) / 100


class UnicodeWords:
    """The one method rouge_score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())


def _check_same_length(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references: there must be one each")


TEXT_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], Floats]] = {
    "exact_match": exact_matches, "rouge_l": rouge_l, "chrf": chrf,
}  # fmt: skip
