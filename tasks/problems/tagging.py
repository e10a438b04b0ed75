"""Tags of tokens in IOB2, as codes, and the spans that they stand for.

Of labels numbered from 0, code 0 is O (in no span), 1 + 2n is B (first token of a span of label n), 2 + 2n is I (a later one).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.data.labels import canonical_label
from tasks.data.spans import Span

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = Sequence[tuple[int, int]]  # of tokens in a text: start, end
OUTSIDE = 0


def read_tag_names(names: Mapping[int, str]) -> dict[str, tuple[int, int]] | None:
    """The outputs of a head that was trained elsewhere, by their names: label -> those of its B and its I, "" -> that of O twice.

    A label without an I or a B of its own, as in IOB1, has one output for both. None where the names are none of tags.
    """
    outputs: dict[str, dict[str, int]] = {}
    for code, name in names.items():
        kind, dash, label = name.partition("-")
        if name == "O":
            outputs[""] = {"I": code}
        elif dash and kind in ("B", "I") and (spelled := canonical_label(label)):
            outputs.setdefault(spelled, {})[kind] = code
        else:
            return None
    whole = {label: (own.get("B", own.get("I", 0)), own.get("I", own.get("B", 0))) for label, own in outputs.items()}
    return whole if "" in whole and len(whole) > 1 else None


def tag_count(labels: int) -> int:
    """The number of tags for so many labels."""
    return 1 + 2 * labels


def tags_of(places: Places, spans: Sequence[Span], labels: Sequence[str]) -> list[int]:
    """The tags (tokens,) of a text's spans; every token that shares a character with a span is one of its own.

    All tokens of a span are tagged, not the first of each word alone: spans end within words, and some languages have no spaces.
    A span of a label that is not among `labels` is left out.
    """
    tags = [OUTSIDE] * len(places)
    code = {label: number for number, label in enumerate(labels)}
    starts = [start for start, _ in places]
    for start, end, label in spans:
        number, is_first = code.get(label), True
        token = max(0, bisect_right(starts, start) - 1)
        while token > 0 and places[token - 1][1] > start:  # tokens of one placeholder share its place
            token -= 1
        while number is not None and token < len(places) and starts[token] < end:
            if places[token][1] > start and tags[token] == OUTSIDE:
                tags[token] = 1 + 2 * number if is_first else 2 + 2 * number
                is_first = False
            token += 1
    return tags


def spans_of_tags(places: Places, tags: Sequence[int], labels: Sequence[str], text: str) -> list[tuple[Span, slice]]:
    """The spans that valid tags stand for, each with its tokens; without spaces at their edges, which tokens may include.

    A span that shares a character with the one before, as within a placeholder, is left out.
    """
    runs: list[tuple[int, int, int]] = []
    for token, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        if tag % 2 == 1:
            runs.append((token, token + 1, tag // 2))
        else:
            runs[-1] = (runs[-1][0], token + 1, runs[-1][2])
    spans: list[tuple[Span, slice]] = []
    for first, last, number in runs:
        start, end = places[first][0], places[last - 1][1]
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end and (not spans or spans[-1][0][1] <= start):
            spans.append(((start, end, labels[number]), slice(first, last)))
    return spans


def best_tags(log_probabilities: Floats) -> Codes:
    """The most probable valid sequence of tags (tokens,): an I follows B or I of its label alone. (tokens, tags) in.

    Where the best tag of each token gives a valid sequence it is that; else Viterbi's algorithm (1967).
    """
    best = log_probabilities.argmax(axis=1)
    return best if is_valid(best) else _viterbi(log_probabilities)


def best_word_tags(log_probabilities: Floats, starts: Sequence[int]) -> Codes:
    """As `best_tags`, of whole words: tokens from one of `starts` to the next are all of one span, or of none.

    A word's log-probabilities are the sums of its tokens'.
    """
    first, edges = log_probabilities, np.asarray([*starts, len(log_probabilities)])
    later = first.copy()
    later[:, 1::2] = first[:, 2::2]  # behind the first token of a word a span goes on
    words = np.add.reduceat(later, edges[:-1], axis=0)
    words[:, 1::2] += first[edges[:-1], 1::2] - later[edges[:-1], 1::2]
    chosen = np.repeat(best_tags(words), np.diff(edges))
    begins = (chosen % 2 == 1) & ~np.isin(np.arange(len(chosen)), starts)
    tags: Codes = chosen + begins
    return tags


def word_starts(places: Places, text: str) -> list[int]:
    """The tokens (from 0) that begin a word, or are none of one; those of a placeholder are one word."""
    return [
        token
        for token, place in enumerate(places)
        if token == 0 or (place != places[token - 1] and not is_within_word(text, place[0]))
    ]


def is_within_word(text: str, place: int) -> bool:
    """Whether letters or digits stand on both sides of a place."""
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def is_valid(tags: Codes) -> bool:
    """Whether tags are IOB2."""
    before = np.concatenate([[OUTSIDE], tags[:-1]])
    inside = (tags > 0) & (tags % 2 == 0)
    return bool(((before == tags) | (before == tags - 1))[inside].all())


def _viterbi(scores: Floats) -> Codes:
    tokens, tags = scores.shape
    begins = np.arange(1, tags, 2)
    total = scores[0].copy()
    total[begins + 1] = -np.inf
    come = np.zeros((tokens, tags), dtype=np.int64)
    for token in range(1, tokens):
        come[token] = total.argmax()
        come[token, begins + 1] = np.where(total[begins + 1] > total[begins], begins + 1, begins)
        total = total[come[token]] + scores[token]
    path = np.empty(tokens, dtype=np.int64)
    path[-1] = total.argmax()
    for token in range(tokens - 1, 0, -1):
        path[token - 1] = come[token, path[token]]
    return path
