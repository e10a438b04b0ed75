"""The metrics that problems have in common: their names, units and directions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

BleuTokenizer = Literal["13a", "intl", "char", "zh", "none"]
CHINESE = {"zh", "zho", "cmn", "yue", "wuu", "lzh"}  # codes of languages as networks have them, by their first part
WITHOUT_SPACES = {"ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bo", "bod", "dz", "dzo"}


@dataclass(frozen=True)
class Metric:
    """A metric's name, what people read for it, the unit that it is shown in, and whether more of it is better."""

    name: str
    title: str
    unit: Literal["share", "number"]
    higher_is_better: bool


ACCURACY = Metric("accuracy", "accuracy", "share", True)
PERPLEXITY = Metric("perplexity", "perplexity", "number", False)
NLL = Metric("nll_per_token", "NLL per token, over all tokens", "number", False)
EXACT_MATCH = Metric("exact_match", "exact match", "share", True)
NLL_OF_ROWS = Metric("nll_per_token_row_mean", "NLL per token, mean of rows", "number", False)
LIKELIHOOD = "log-likelihood per token, mean of rows"
ROUGE_1 = Metric("rouge_1", "ROUGE-1", "share", True)
ROUGE_2 = Metric("rouge_2", "ROUGE-2", "share", True)
ROUGE_L = Metric("rouge_l", "ROUGE-L", "share", True)
F1_ROWS = Metric("f1_rows", "F1 of rows", "share", True)
F1_WORDS = Metric("f1", "F1 of words", "share", True)
MAE = Metric("mae", "mean absolute error", "number", False)
BLEU = Metric("bleu", "BLEU", "share", True)
CHRF = Metric("chrf", "chrF", "share", True)
TER = Metric("ter", "TER", "share", False)
NDCG = Metric("ndcg_at_10", "nDCG@10", "share", True)
MRR = Metric("mrr", "mean reciprocal rank", "share", True)
RECALL_AT_1 = Metric("recall_at_1", "recall@1", "share", True)
RECALL_AT_10 = Metric("recall_at_10", "recall@10", "share", True)
RANK_CORRELATION = Metric("rank_correlation", "rank correlation", "number", True)


def bleu_tokenizer_for(language: str) -> BleuTokenizer:
    """How BLEU parts texts of a language into words: Chinese and others without spaces by their characters, else 13a."""
    code = re.split(r"[_-]", language.lower())[0]
    return "zh" if code in CHINESE else "char" if code in WITHOUT_SPACES else "13a"
