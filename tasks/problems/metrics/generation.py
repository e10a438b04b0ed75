"""The numbers of written text: likelihood per token over all rows, and how near decoded answers are to their references."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = NDArray[np.float64]
SacreBleu = Any  # a metric of sacrebleu, which is imported where it is used
RougeKind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
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


def rouge(kind: RougeKind, predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """F-measure of words (rouge1), pairs of words (rouge2) or the longest common subsequence of words per row (n,).

    By rouge_score without stemming (Lin 2004). rougeLsum unites the subsequences of lines: a summary is parted at its line breaks
    and nowhere else. Its own tokenizer drops every letter outside a-z, which scores all Russian or Greek as 0; this one keeps the
    letters and digits of every script, in lower case, and splits ASCII text alike.
    """
    from rouge_score.rouge_scorer import RougeScorer

    _check_same_length(predictions, references)
    scorer = RougeScorer([kind], tokenizer=UnicodeWords())
    return np.array([scorer.score(r, p)[kind].fmeasure for p, r in zip(predictions, references, strict=True)], dtype=np.float64)


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """F-measure of the longest common subsequence of words per row (n,)."""
    return rouge("rougeL", predictions, references)


def sacrebleu_rows(scorer: SacreBleu, predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """The score of each row (n,), 1 for sacrebleu's 100; one reference a row."""
    _check_same_length(predictions, references)
    return np.array(
        [scorer.sentence_score(p, [r]).score / 100 for p, r in zip(predictions, references, strict=True)], dtype=np.float64
    )


def sacrebleu_corpus(scorer: SacreBleu, predictions: Sequence[str], references: Sequence[str]) -> float:
    """The score of all rows together, whose n-grams or edits are counted as those of one text; 1 for sacrebleu's 100."""
    _check_same_length(predictions, references)
    return float(scorer.corpus_score(list(predictions), [list(references)]).score) / 100


def bleu_scorer(tokenizer: str = "13a", *, of_rows: bool = False) -> SacreBleu:
    """BLEU (Papineni et al. 2002; Post 2018); of single rows with the n-grams alone that a row is long enough for."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, effective_order=of_rows)


def chrf_scorer() -> SacreBleu:
    """F-score of character n-grams up to 6 (Popovic 2015, chrF2), those left out that are longer than a text."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def ter_scorer() -> SacreBleu:
    """Edits, moves of phrases included, for each word of the reference (Snover et al. 2006): above 1 where more is wrong than said.

    Case is ignored. Its time grows with the square of a text's length and more: a row of 600 words takes seconds.
    """
    from sacrebleu.metrics.ter import TER

    return TER()


def chrf(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """chrF2 of each row (n,), 0 to 1."""
    return sacrebleu_rows(chrf_scorer(), predictions, references)


@dataclass(frozen=True)
class TextMetrics:
    """Which scores written texts get, by name, and how BLEU parts them into words, by sacrebleu's names."""

    names: tuple[str, ...] = ("exact_match", "rouge_l")
    bleu_tokenizer: str = "13a"

    def score_rows(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Floats]:
        """Name -> the score of each row (n,)."""
        return {name: self._score_rows(name, predictions, references) for name in self.names}

    def signatures(self) -> dict[str, str]:
        """Name -> sacrebleu's own notation of how a metric of all rows is computed, its version included."""
        scorers = {"bleu": lambda: bleu_scorer(self.bleu_tokenizer), "chrf": chrf_scorer, "ter": ter_scorer}
        return {name: _signature_of(make()) for name, make in scorers.items() if name in self.names}

    def _score_rows(self, name: str, predictions: Sequence[str], references: Sequence[str]) -> Floats:
        if name == "bleu":
            return sacrebleu_rows(bleu_scorer(self.bleu_tokenizer, of_rows=True), predictions, references)
        return TEXT_SCORES[name](predictions, references)


GENERATED = TextMetrics()


def _signature_of(scorer: SacreBleu) -> str:
    scorer.corpus_score(["a"], [["a"]])  # it counts the references before it signs
    return str(scorer.get_signature())


class UnicodeWords:
    """The one method rouge_score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())


def _check_same_length(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references: there must be one each")


TEXT_SCORES: dict[str, Callable[[Sequence[str], Sequence[str]], Floats]] = {
    "exact_match": exact_matches,
    "rouge_1": partial(rouge, "rouge1"),
    "rouge_2": partial(rouge, "rouge2"),
    "rouge_l": rouge_l,
    "rouge_lsum": partial(rouge, "rougeLsum"),
    "chrf": chrf,
    "ter": lambda predictions, references: sacrebleu_rows(ter_scorer(), predictions, references),
}
