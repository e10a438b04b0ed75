"""The metrics of written texts as local `evaluate.Metric` modules, each of texts and one reference for each.

Import through `tasks.problems.metrics.text_modules_of_evaluate()`, as those of `modules.py`.
"""

from __future__ import annotations

from datasets import Value

from tasks.problems.metrics import generation as g
from tasks.problems.metrics.modules import InMemory

TEXTS = {"references": Value("string"), "predictions": Value("string")}


class ExactMatch(InMemory):
    """Share of texts equal to their reference, but for white space."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"exact_match": float(g.exact_matches(predictions, references).mean())}


class RougeL(InMemory):
    """Mean F-measure of the longest common subsequence of words."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"rouge_l": float(g.rouge_l(predictions, references).mean())}


class Rouge1(InMemory):
    """Mean F-measure of the words in common."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"rouge_1": float(g.rouge("rouge1", predictions, references).mean())}


class Rouge2(InMemory):
    """Mean F-measure of the pairs of words in common."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"rouge_2": float(g.rouge("rouge2", predictions, references).mean())}


class RougeLsum(InMemory):
    """Mean F-measure of the longest common subsequences of words, united over the lines of a summary."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"rouge_lsum": float(g.rouge("rougeLsum", predictions, references).mean())}


class Bleu(InMemory):
    """BLEU of all texts together, by sacrebleu with the tokenizer `bleu_tokenizer`: 0 to 1."""

    columns = TEXTS
    options = ("bleu_tokenizer",)

    def score(self, *, references: list[str], predictions: list[str], bleu_tokenizer: str = "13a") -> dict[str, float]:
        return {"bleu": g.sacrebleu_corpus(g.bleu_scorer(bleu_tokenizer), predictions, references)}


class ChrF(InMemory):
    """F-score of the character n-grams of all texts together (Popovic 2015), by sacrebleu: 0 to 1."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"chrf": g.sacrebleu_corpus(g.chrf_scorer(), predictions, references)}


class Ter(InMemory):
    """Edits for each word of the references, of all texts together, by sacrebleu: 0 and more, lower is better."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return {"ter": g.sacrebleu_corpus(g.ter_scorer(), predictions, references)}


FROM_TEXTS: dict[str, type[InMemory]] = {
    "exact_match": ExactMatch, "rouge_1": Rouge1, "rouge_2": Rouge2, "rouge_l": RougeL, "rouge_lsum": RougeLsum, "bleu": Bleu,
    "chrf": ChrF, "ter": Ter,
}  # fmt: skip
