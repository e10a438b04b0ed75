"""What changed most: words and shares that became more or less frequent, by exact tests, so that a claim holds at its stated rate.

Monitors say *that* traffic changed; this says *what* did, to a person. What was sent many times is one piece of evidence: words
are counted once a text, and texts that differ in numbers, capitals and tags alone are one text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.stats.arrays import Floats
from tasks.stats.intervals import wilson

PRIOR_TEXTS = 100.0
"""Weight of the prior of `log_odds`: so many texts with the word shares of both sides together."""
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # kana, ideographs, Thai: each character a word
_WORD = re.compile(rf"<[A-Z][A-Z_]*(?=:)|[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*")
_TAG = re.compile(r"(<[A-Z][A-Z_]*)(?::[0-9a-f]{8})?>")


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How many of `texts` distinct texts hold each word; `rows` is how many texts there were before copies were counted once."""

    texts: int
    words: Mapping[str, int]
    rows: int


@dataclass(frozen=True)
class Change:
    """One word or category: the share that has it in the reference and in the window, with Wilson's intervals.

    `log_odds` is the log odds ratio, shrunken (above zero: more now). `p` is of "the odds ratio lies within the least change", and
    `changed` says that it stands after Holm's correction over all that were asked about.
    """

    name: str
    n_reference: int
    n_window: int
    reference: float
    reference_low: float
    reference_high: float
    window: float
    window_low: float
    window_high: float
    log_odds: float
    p: float
    changed: bool


@dataclass(frozen=True)
class Changes:
    """What changed, the surest first. `tested` names could have been found changed; with no change at all in any of them, some
    name is called changed with probability `rate` at most."""

    more: tuple[Change, ...]
    less: tuple[Change, ...]
    tested: int
    rate: float
    least: float
    texts_reference: int
    texts_window: int


def words_of(text: str) -> list[str]:
    """The words of a text, case folded; a placeholder of redaction is one word, `<KIND>`, with a tag or without."""
    return [word + ">" if word[0] == "<" else word.casefold() for word in _WORD.findall(_TAG.sub(r"\1:", text))]


def word_counts(texts: Iterable[str], clusters: Iterable[object] | None = None) -> WordCounts:
    """In how many distinct texts each word stands.

    `clusters`: one value per text, equal for texts that are no independent evidence (one customer, one campaign, near copies); a
    word counts once a cluster. Default: texts of the same words, numbers aside, are one.
    """
    words_by_cluster: dict[object, set[str]] = {}
    rows = 0
    keys = iter(clusters) if clusters is not None else None
    for text in texts:
        rows += 1
        words = words_of(text)
        key = next(keys) if keys is not None else tuple(word for word in words if not any(map(str.isdigit, word)))
        words_by_cluster.setdefault(key, set()).update(words)
    return WordCounts(len(words_by_cluster), Counter(word for words in words_by_cluster.values() for word in words), rows)


def changed_words(
    reference: WordCounts, window: WordCounts, rate: float = 0.05, least: float = 1.5, most: int = 15, prior: float = PRIOR_TEXTS
) -> Changes:
    """The words whose odds to stand in a text changed by more than the factor `least`, at most `most` either way.

    Size: the log odds ratio with an informative Dirichlet prior, the word shares of both sides together (Monroe, Colaresi and
    Quinn 2008, 'Fightin' Words', section 3.3), so that a rare word does not look like the largest change. Their z-score is not
    what decides: its variance explodes for a word that is new, which is the one people look for (10 of 200 texts against 0 of
    2,000 has z = 3.4, and p = 4e-11). Evidence: Fisher's exact test, conditional on how often the word occurs in all, at the odds
    ratio `least` rather than 1, because with enough texts every word changed a little. Corrected by Holm over the words that could
    show anything at all (Tarone 1990): any wrong claim with probability `rate` at most, whatever the dependence between words.
    """
    names = sorted(reference.words.keys() | window.words.keys())
    counts = np.array([[reference.words.get(name, 0), window.words.get(name, 0)] for name in names], dtype=np.int64)
    return _select_changes(_CountTable(names, counts.reshape(-1, 2), (reference.texts, window.texts)), rate, least, most, prior)


def changed_shares(
    reference: Mapping[str, int], window: Mapping[str, int], rate: float = 0.05, least: float = 1.0, prior: float = 0.0
) -> tuple[Change, ...]:
    """All categories (classes, languages, bins of length) from rows per category, the largest difference of shares first.

    `changed` as in `changed_words`; pass counts of distinct texts where copies are no evidence.
    """
    names = sorted(reference.keys() | window.keys())
    counts = np.array([[reference.get(name, 0), window.get(name, 0)] for name in names], dtype=np.int64).reshape(-1, 2)
    table = _CountTable(names, counts, (int(counts[:, 0].sum()), int(counts[:, 1].sum())))
    if table.is_empty:
        return ()
    p, tested = _p_values(table, rate, least)
    every = _change_rows(table, p, _holm_rejected(p, tested, rate), _log_odds(table, prior))
    return tuple(sorted(every, key=lambda change: (-abs(change.window - change.reference), change.name)))


@dataclass(frozen=True, eq=False)
class _CountTable:
    """In how many texts of the reference and of the window each name stands (n, 2), and how many texts there are of either."""

    names: list[str]
    counts: NDArray[np.int64]
    sizes: tuple[int, int]

    @property
    def is_empty(self) -> bool:
        return not self.names or 0 in self.sizes

    def picked(self, rows: list[int]) -> _CountTable:
        return _CountTable([self.names[i] for i in rows], self.counts[rows], self.sizes)


def _select_changes(table: _CountTable, rate: float, least: float, most: int, prior: float) -> Changes:
    if table.is_empty:
        return Changes((), (), 0, rate, least, *table.sizes)
    p, tested = _p_values(table, rate, least)
    sure = _holm_rejected(p, tested, rate)
    size = _log_odds(table, prior)
    order = np.lexsort((-np.abs(size), p))
    picked = [i for more in (True, False) for i in [j for j in order if sure[j] and (size[j] > 0) == more][:most]]
    rows = _change_rows(table.picked(picked), p[picked], sure[picked], size[picked])
    more = tuple(change for change in rows if change.log_odds > 0)
    return Changes(more, tuple(change for change in rows if change.log_odds <= 0), int(tested.sum()), rate, least, *table.sizes)


def _log_odds(table: _CountTable, prior: float) -> Floats:
    """Log odds ratio, window over reference, with `prior` texts of the pooled shares (at least half a text) on either side."""
    counts, sizes = table.counts, table.sizes
    weight = np.maximum(prior * counts.sum(axis=1) / sum(sizes), 0.5)
    total = max(prior, 1.0)
    odds = [
        np.log(counts[:, side] + weight) - np.log(np.maximum(sizes[side] + total - counts[:, side] - weight, 0.5))
        for side in (0, 1)
    ]
    return np.asarray(odds[1] - odds[0], dtype=np.float64)


def _p_values(table: _CountTable, rate: float, least: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Two-sided p of "the odds ratio lies in [1 / least, least]", and which rows could ever fall below the corrected level.

    Given how often a name occurs in all, its count in the window is Fisher's noncentral hypergeometric (1935; at ratio 1 the
    central one): the tails are summed exactly, once per total. p is twice the smaller tail, each at its own end of the range.
    """
    counts, sizes = table.counts, table.sizes
    p, best = np.ones(len(counts)), np.ones(len(counts))
    totals = counts.sum(axis=1)
    for total in np.unique(totals):
        mine = np.flatnonzero(totals == total)
        low = max(0, int(total) - sizes[0])
        k = np.arange(low, min(int(total), sizes[1]) + 1)
        ways = _log_choose(sizes[1], k) + _log_choose(sizes[0], total - k)
        below = np.logaddexp.accumulate(_normalise_log_weights(ways - k * np.log(least)))
        above = np.logaddexp.accumulate(_normalise_log_weights(ways + k * np.log(least))[::-1])[::-1]
        at = counts[mine, 1] - low
        p[mine] = np.minimum(1.0, 2 * np.exp(np.minimum(below[at], above[at])))
        best[mine] = min(1.0, 2 * float(np.exp(min(below[0], above[-1]))))
    return p, _tarone_testable(best, rate)


def _log_choose(n: int, k: NDArray[np.int64]) -> Floats:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1), dtype=np.float64)


def _normalise_log_weights(log_weights: Floats) -> Floats:
    return np.asarray(log_weights - special.logsumexp(log_weights), dtype=np.float64)


def _tarone_testable(best: Floats, rate: float) -> NDArray[np.bool_]:
    """Tarone's (1990) reduction: with the least p each name could have, the fewest names that need to be paid for."""
    order = np.sort(best)
    for paid in range(1, len(order) + 1):
        if np.searchsorted(order, rate / paid, side="right") <= paid:
            return best <= rate / paid
    return np.ones(len(best), dtype=np.bool_)


def _holm_rejected(p: Floats, tested: NDArray[np.bool_], rate: float) -> NDArray[np.bool_]:
    """Holm's (1979) step-down over the tested names."""
    sure = np.zeros(len(p), dtype=np.bool_)
    rows = np.flatnonzero(tested)
    order = rows[np.argsort(p[rows], kind="stable")]
    passed = p[order] <= rate / (len(order) - np.arange(len(order)))
    sure[order[: len(order) if passed.all() else int(np.argmin(passed))]] = True
    return sure


def _change_rows(table: _CountTable, p: Floats, sure: NDArray[np.bool_], size: Floats) -> list[Change]:
    counts, sizes = table.counts, table.sizes
    shares = counts / np.array(sizes)
    low, high = wilson(counts, np.array(sizes))
    return [
        Change(
            name, int(counts[i, 0]), int(counts[i, 1]), float(shares[i, 0]), float(low[i, 0]), float(high[i, 0]),
            float(shares[i, 1]), float(low[i, 1]), float(high[i, 1]), float(size[i]), float(p[i]), bool(sure[i]),
        )
        for i, name in enumerate(table.names)
    ]  # fmt: skip
