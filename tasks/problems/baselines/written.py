"""The baselines that write texts by a rule: the first sentences of a document, or what was read as it is.

They give no text a likelihood, which is what the gate compares; their texts are scored as a model's are.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.problems.metrics.generation import rouge_l

MOST_SENTENCES, FITTED_ROWS = 10, 200
_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")


@dataclass(frozen=True)
class WrittenBaseline:
    """A rule's answer to each test row, and the seconds to choose the rule and to write."""

    name: str
    answers: list[str]
    seconds: float


def copied_source(test: Sequence[str], most_words: int, clock: Callable[[], float] = time.perf_counter) -> WrittenBaseline:
    """Each text as it was read, cut to `most_words` words."""
    began = clock()
    return WrittenBaseline("copy of the source", [_cut_words(text, most_words) for text in test], clock() - began)


def lead_sentences(
    train: Sequence[str], summaries: Sequence[str], test: Sequence[str], most_words: int,
    clock: Callable[[], float] = time.perf_counter,
) -> WrittenBaseline:  # fmt: skip
    """The first k sentences of each document, cut to `most_words` words; k, 1 to 10, has the best mean ROUGE-L on train rows.

    Of equals the fewest. Of many train rows 200 are drawn, evenly spread; without any k is 1.
    """
    began = clock()
    step = max(1, len(train) // FITTED_ROWS)
    known, wanted = list(train)[::step][:FITTED_ROWS], list(summaries)[::step][:FITTED_ROWS]
    parted = [split_sentences(text) for text in known]
    longest = min(MOST_SENTENCES, max((len(sentences) for sentences in parted), default=1))
    means = [
        float(rouge_l([_first_sentences(text, sentences, most_words) for text in parted], wanted).mean()) if known else 0.0
        for sentences in range(1, longest + 1)
    ]
    best = means.index(max(means)) + 1
    answers = [_first_sentences(split_sentences(text), best, most_words) for text in test]
    return WrittenBaseline(f"lead-{best}", answers, clock() - began)


def split_sentences(text: str) -> list[str]:
    """A text at its line breaks and behind . ! ? before white space (and their East Asian forms); an abbreviation parts it too."""
    ends = [match for match in _END.finditer(text) if match.end() > match.start() or match.end() < len(text)]
    starts = [0, *(match.end() for match in ends)]
    stops = [*(match.end() for match in ends), len(text)]
    return [part for start, stop in zip(starts, stops, strict=True) if (part := text[start:stop].strip())]


def _first_sentences(sentences: Sequence[str], most: int, most_words: int) -> str:
    return _cut_words(" ".join(sentences[:most]), most_words)


def _cut_words(text: str, most: int) -> str:
    """As it is, or its first words where it has more: an answer of a model has an end too."""
    words = text.split()
    return text if len(words) <= most else " ".join(words[:most])
