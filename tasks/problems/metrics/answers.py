"""SQuAD's measures of answers that stand in a text (Rajpurkar et al. 2018, arXiv:1806.03822), in plain Python.

Two texts are compared without case, punctuation, articles and spaces. A row's score is the best over its accepted answers; where
there is none, no answer at all is the right one. Of an accepted answer of articles and punctuation alone nothing is left to
compare, so it is none, as the published evaluation has it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.data.answers import answer_texts

Floats = NDArray[np.float64]
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain_words(text: str) -> list[str]:
    """The words of a text by which answers are compared."""
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def answer_scores(prediction: str, accepted: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of an answer, empty for none, against the best of the accepted ones; without any, against none."""
    answer_words = plain_words(prediction)
    right = [words for words in map(plain_words, accepted) if words] or [[]]
    return max(float(answer_words == words) for words in right), max(_words_f1(answer_words, words) for words in right)


def row_scores(predictions: Sequence[str], accepted: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
    """Exact match (n,) and F1 (n,) of answers."""
    scores = [answer_scores(prediction, texts) for prediction, texts in zip(predictions, accepted, strict=True)]
    table = np.array(scores, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def answer_metrics(predictions: Sequence[str], accepted: Sequence[Sequence[str]]) -> dict[str, float]:
    """f1 and exact_match over all rows, has_answer_f1 and has_answer_exact over those with an accepted answer, no_answer_accuracy
    over the others; what no row is of is left out. ValueError without rows."""
    if not predictions:
        raise ValueError("no answers to score: there must be at least one row")
    exact, f1 = row_scores(predictions, accepted)
    has = np.array([bool(texts) for texts in accepted], dtype=bool)
    metrics = {"f1": float(f1.mean()), "exact_match": float(exact.mean())}
    if has.any():
        metrics |= {"has_answer_f1": float(f1[has].mean()), "has_answer_exact": float(exact[has].mean())}
    return metrics if has.all() else metrics | {"no_answer_accuracy": float(f1[~has].mean())}


def answers_f1(predictions: Sequence[str | None], targets: Sequence[str | None], texts: Sequence[str]) -> list[float]:
    """F1 of each prediction against its target, both places in a text (tasks/data/answers.py); NaN where either is missing."""
    scores = []
    for prediction, target, text in zip(predictions, targets, texts, strict=True):
        if prediction and target:
            scores.append(answer_scores("".join(answer_texts(prediction, text)), answer_texts(target, text))[1])
        else:
            scores.append(float("nan"))
    return scores


def answer_lengths(predictions: Sequence[str], texts: Sequence[str]) -> list[float]:
    """The words of each answer, NaN where there is none."""
    answer_strings = ["".join(answer_texts(prediction, text)) for prediction, text in zip(predictions, texts, strict=True)]
    return [float(len(answer.split())) if answer else float("nan") for answer in answer_strings]


def _words_f1(said: Sequence[str], right: Sequence[str]) -> float:
    """F1 of two bags of words, by 1 or 0 where one of them is empty."""
    if not said or not right:
        return float(said == right)
    same = sum((Counter(said) & Counter(right)).values())
    return 2 * same / (len(said) + len(right))
