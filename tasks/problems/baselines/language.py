"""The baselines of models that write text: each token at its share in the train completions, alone or given the one before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
UNIGRAM = "unigram"


@dataclass(frozen=True, eq=False)
class TokenBaseline:
    """Per test row the summed log-likelihood of its tokens in nats (n,) and their number (n,): the units of the model's scores."""

    name: str
    log_likelihood: Floats
    tokens: Codes
    seconds: float


def unigram_scores(
    train: Sequence[Sequence[int]], test: Sequence[Sequence[int]], vocabulary: int, clock: Callable[[], float] = time.perf_counter
) -> TokenBaseline:
    """Each token at its add-one share in the train completions, whatever stands before it: the floor of perplexity.

    `train` and `test` hold each row's completion as token ids below `vocabulary`, just as the model is scored on them.
    """
    began = clock()
    flat, lengths = _flatten_rows(test, vocabulary)
    likelihood = np.log(_token_shares(_flatten_rows(train, vocabulary)[0], vocabulary))[flat]
    return TokenBaseline(UNIGRAM, _row_sums(likelihood, lengths), lengths, clock() - began)


def bigram_scores(
    train: Sequence[Sequence[int]], test: Sequence[Sequence[int]], vocabulary: int, clock: Callable[[], float] = time.perf_counter
) -> TokenBaseline:
    """Each token given the one before it, falling back on `unigram_scores` by Witten and Bell's rule (1991): no tuning.

    P(w|v) = (count(v, w) + kinds(v) P(w)) / (count(v) + kinds(v)), kinds(v) being how many different tokens followed v. A row's
    first token follows a start mark, for the prompt is not used.
    """
    began = clock()
    train_tokens, train_lengths = _flatten_rows(train, vocabulary)
    test_tokens, lengths = _flatten_rows(test, vocabulary)
    shares = _token_shares(train_tokens, vocabulary)
    pairs, times = np.unique(_bigram_codes(train_tokens, train_lengths, vocabulary), return_counts=True)
    kinds = np.bincount(pairs // vocabulary, minlength=vocabulary + 1)
    followed = np.bincount(pairs // vocabulary, weights=times, minlength=vocabulary + 1)
    test_pairs = _bigram_codes(test_tokens, lengths, vocabulary)
    where = np.minimum(np.searchsorted(pairs, test_pairs), max(len(pairs) - 1, 0))
    counts = np.where(pairs[where] == test_pairs, times[where], 0) if len(pairs) else np.zeros(len(test_pairs))
    before = test_pairs // vocabulary
    weight = np.maximum(kinds[before], 1)  # after a token never seen to be followed, the unigram alone speaks
    likelihood = np.log((counts + weight * shares[test_tokens]) / (followed[before] + weight))
    return TokenBaseline("bigram", _row_sums(likelihood, lengths), lengths, clock() - began)


def _flatten_rows(rows: Sequence[Sequence[int]], vocabulary: int) -> tuple[Codes, Codes]:
    """All token ids in one column, and the length of each row; ValueError where an id is outside the vocabulary."""
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    flat = np.fromiter((token for row in rows for token in row), dtype=np.int64, count=int(lengths.sum()))
    if flat.size and (flat.min() < 0 or flat.max() >= vocabulary):
        raise ValueError(f"token ids run from {flat.min()} to {flat.max()}, but the vocabulary has {vocabulary} entries")
    return flat, lengths


def _token_shares(flat: Codes, vocabulary: int) -> Floats:
    return np.asarray((np.bincount(flat, minlength=vocabulary) + 1) / (len(flat) + vocabulary))


def _bigram_codes(flat: Codes, lengths: Codes, vocabulary: int) -> Codes:
    """Each token with the one before it, as before * vocabulary + token; `vocabulary` itself stands before a row's first."""
    before = np.concatenate([[vocabulary], flat[:-1]]) if flat.size else flat
    starts = np.cumsum(lengths) - lengths
    before[starts[lengths > 0]] = vocabulary
    return np.asarray(before * vocabulary + flat)


def _row_sums(values: Floats, lengths: Codes) -> Floats:
    return np.bincount(np.repeat(np.arange(len(lengths)), lengths), weights=values, minlength=len(lengths)).astype(np.float64)
