"""Rows that share a text are one repeated event: the distinct texts of two samples, and what each contributes to a difference.

A text that one client sends 500 times is no 500 pieces of evidence, and a text that all clients send all the time is in the window
as it is in the reference. Both follow from one rule: the unit is the distinct text *over both samples*, and what counts is by how
much its share of the window exceeds its share of the reference. Where no text is repeated, this is the ordinary two-sample setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tasks.stats.arrays import Codes, Floats

Singles = NDArray[np.float32]

PERMUTATIONS = 500
FOLDS = 5
LEAST_TEXTS = 20  # distinct texts in a sample; fewer are no sample of traffic
SMALL = 2_000  # distinct texts up to which every monitor permutes; above, those of embeddings alone: the normal law does for others
BATCH = 12_500_000  # permuted weights held at once: 50 MB


def text_codes(texts: Sequence[str]) -> Codes:
    """A number per text, shape (n,): equal texts, equal numbers, whatever sample they stand in (64 bits of BLAKE2b)."""
    distinct = {text: int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True) for text in set(texts)}
    return np.array([distinct[text] for text in texts], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class DistinctTexts:
    """The distinct texts of a reference and a window: the number of each row's text, and each row's weight (sum 1 per sample).

    `codes` (texts,) are the callers' own; `of_reference`, `of_window` (rows,) point into them.
    """

    codes: Codes
    of_reference: Codes
    of_window: Codes
    row_reference: Floats
    row_window: Floats

    @property
    def n(self) -> int:
        return len(self.codes)

    @cached_property
    def reference(self) -> Floats:
        """Each text's share of the reference, shape (texts,)."""
        return self.summed(self.of_reference, self.row_reference)

    @cached_property
    def window(self) -> Floats:
        return self.summed(self.of_window, self.row_window)

    @cached_property
    def excess(self) -> Floats:
        """By how much its share of the window exceeds its share of the reference; sums to 0."""
        return self.window - self.reference

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Variance of a mean of independent rows of variance 1, in the reference and in the window: 1/n with even weights."""
        return float(np.sum(self.row_reference**2)), float(np.sum(self.row_window**2))

    @cached_property
    def design(self) -> float:
        """Kish's design effect (1965) of the excesses, at least 1: 1 for independent rows, however popular some texts are in both
        samples; m where each text of the window stands there m times and not in the reference."""
        return max(1.0, float(np.sum(self.excess**2)) / sum(self.noise))

    @cached_property
    def effective(self) -> float:
        """How many equally heavy texts would carry as much: the degrees of freedom of a variance that is estimated from them."""
        return float(np.sum(self.excess**2) ** 2 / max(float(np.sum(self.excess**4)), 1e-300))

    @cached_property
    def folds(self) -> Codes:
        """A fold from 0 to FOLDS - 1 per text, by its code alone: the same text is in the same fold at every look."""
        mixed = self.codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        return ((mixed >> np.uint64(40)) % np.uint64(FOLDS)).astype(np.int64)

    def summed(self, of_row: Codes, values: Floats) -> Floats:
        """Sums by text of row values, shape (texts,)."""
        return np.bincount(of_row, weights=values, minlength=self.n).astype(np.float64)

    def mean(self, in_reference: Floats, in_window: Floats) -> Floats:
        """The mean of row values by text over both samples, shape (texts,)."""
        sums = self.summed(self.of_reference, in_reference) + self.summed(self.of_window, in_window)
        rows = np.bincount(self.of_reference, minlength=self.n) + np.bincount(self.of_window, minlength=self.n)
        return np.asarray(sums / rows, dtype=np.float64)

    def first_rows(self) -> Codes:
        """A row of each text, shape (texts,), counted through the reference and on through the window."""
        return np.unique(np.concatenate([self.of_reference, self.of_window]), return_index=True)[1].astype(np.int64)

    def permuted(self, seed: int) -> Iterator[Singles]:
        """PERMUTATIONS rearrangements of the excesses over the texts, in parts of shape (some, texts).

        Without drift it is by luck alone which text got which excess. Repetition goes along with the excess, so a text that
        stands in the window 500 times stands there as often in every rearrangement, whichever text it is.
        """
        if self.n <= SMALL:
            yield self._shared_rearrangements(seed)
            return
        rng, step = np.random.default_rng(seed), max(1, BATCH // self.n)
        for start in range(0, PERMUTATIONS, step):
            yield self._rearrange_excess(rng, min(step, PERMUTATIONS - start))

    def _shared_rearrangements(self, seed: int) -> Singles:
        rearrangements: dict[int, Singles] = self._cached_rearrangements
        if seed not in rearrangements:
            rearrangements[seed] = self._rearrange_excess(np.random.default_rng(seed), PERMUTATIONS)
        return rearrangements[seed]

    @cached_property
    def _cached_rearrangements(self) -> dict[int, Singles]:
        return {}

    def _rearrange_excess(self, rng: np.random.Generator, count: int) -> Singles:
        return rng.permuted(np.broadcast_to(self.excess.astype(np.float32), (count, self.n)), axis=1)


def texts_of(
    reference: Codes, window: Codes, reference_weight: Floats | None = None, window_weight: Floats | None = None
) -> DistinctTexts:
    """Line up the texts of two samples, by codes (rows,), equal where the text is; weights are made to sum to 1."""
    codes, number = np.unique(np.concatenate([reference, window]), return_inverse=True)
    return DistinctTexts(
        codes=codes.astype(np.int64),
        of_reference=number[: len(reference)].astype(np.int64),
        of_window=number[len(reference) :].astype(np.int64),
        row_reference=_normalised_weights(reference_weight, len(reference)),
        row_window=_normalised_weights(window_weight, len(window)),
    )


def _normalised_weights(weights: Floats | None, n: int) -> Floats:
    return np.full(n, 1 / max(n, 1)) if weights is None else np.asarray(weights / weights.sum(), dtype=np.float64)


def too_few(texts: DistinctTexts, least: int = LEAST_TEXTS) -> str | None:
    """Why these are no samples of traffic, or None."""
    for name, share in (("reference", texts.reference), ("window", texts.window)):
        distinct = int(np.sum(share > 0))
        if distinct < least:
            return f"{distinct} distinct texts in the {name}, fewer than {least}"
    return None
