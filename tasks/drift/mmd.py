"""How far the window's embeddings lie from the reference's: the distance of means, of embeddings or in a kernel's feature space.

Gretton et al. (2012), 'A kernel two-sample test', call the second the maximum mean discrepancy (MMD): it sees any change, where a
distance of plain means sees only the mean. Both are the same arithmetic, a quadratic form in the excesses of the texts, so that all
permutations are one matrix product; the exact kernel where it fits, else random features of it (Rahimi and Recht 2007, 'Random
features for large-scale kernel machines'; tested so by Zhao and Meng 2015, 'FastMMD').

That a distance is over a minimum cannot be read off the distance itself, which noise inflates. So a direction is learned on four
fifths of the texts and measured on the last, five times over: no direction is longer than the distance, and a mean along one is an
ordinary mean. (Kirchler et al. 2020, 'Two-sample testing using deep learning', and Kim, Ramdas, Singh and Wasserman 2021,
'Classification accuracy as a proxy for two-sample testing', test equality so; here it is a lower bound.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.drift.distinct_texts import FOLDS, PERMUTATIONS, DistinctTexts, Singles
from tasks.drift.statistics import Contrast, JudgedChange, judge_mean, permutation_p, standard_error
from tasks.stats.arrays import Floats

EXACT = 4_000  # distinct texts up to which the whole kernel is computed: 64 MB
FREQUENCIES = 512  # random features are twice as many
NEAR = 1_000  # texts of the reference that the kernel's width is taken from
SEED = 20120313  # the same features at every look, so that a distance is the same distance


class Space(Protocol):
    """Where texts have inner products; weights have shape (some, texts)."""

    def squares(self, weights: NDArray[np.floating]) -> Floats:
        """The squared length of each weighted sum of texts, shape (some,)."""

    def products(self, weights: NDArray[np.floating]) -> Floats:
        """The inner product of each weighted sum with each text, shape (some, texts)."""

    def variance(self, share: Floats) -> float:
        """The mean squared distance of texts, drawn by `share`, from their mean."""


@dataclass(frozen=True, eq=False)
class Features:
    """Texts as vectors, shape (texts, d)."""

    vectors: Singles

    def squares(self, weights: NDArray[np.floating]) -> Floats:
        sums: Floats = (weights.astype(np.float32) @ self.vectors).astype(np.float64)
        return np.asarray(np.einsum("ij,ij->i", sums, sums), dtype=np.float64)

    def products(self, weights: NDArray[np.floating]) -> Floats:
        return np.asarray((weights.astype(np.float32) @ self.vectors) @ self.vectors.T, dtype=np.float64)

    def variance(self, share: Floats) -> float:
        lengths = np.einsum("ij,ij->i", self.vectors, self.vectors).astype(np.float64)
        return float(share @ lengths - self.squares(share[None])[0])


@dataclass(frozen=True, eq=False)
class Gram:
    """Texts by all their inner products, shape (texts, texts)."""

    kernel: Singles

    def squares(self, weights: NDArray[np.floating]) -> Floats:
        small = weights.astype(np.float32)
        return np.asarray(np.einsum("ij,ij->i", small @ self.kernel, small), dtype=np.float64)

    def products(self, weights: NDArray[np.floating]) -> Floats:
        return np.asarray(weights.astype(np.float32) @ self.kernel, dtype=np.float64)

    def variance(self, share: Floats) -> float:
        return float(share @ np.diag(self.kernel).astype(np.float64) - self.squares(share[None])[0])


def mean_space(vectors: Singles) -> Space:
    """The embeddings themselves, about their mean (float32 would else lose what differs)."""
    return Features(vectors - vectors.mean(axis=0))


def kernel_space(vectors: Singles, reference: Floats) -> Space:
    """The Gaussian kernel's, half as wide as the median distance within the reference; `reference` (texts,) are shares of it.

    Half, because a kernel as wide as the median detects hardly more on real texts than the plain mean: with a fifth of 2,000 of new
    intents, against 5,000, p was 1e-8 there and 2e-13 here; with a fifth of them longer the lower bound 0.03 there and 0.05 here.
    """
    centred = vectors - vectors.mean(axis=0)
    inside = centred[np.flatnonzero(reference > 0)[:: max(1, int(np.sum(reference > 0)) // NEAR)]]
    between = _squared_distances(inside)[np.triu_indices(len(inside), 1)]
    width = float(np.median(between)) / 4 if between.size else 1.0  # squared
    width = width if width > 0 else 1.0
    if len(centred) <= EXACT:
        return Gram(np.exp(_squared_distances(centred) / np.float32(-2 * width)))
    rng = np.random.default_rng(SEED)
    frequencies = rng.standard_normal((centred.shape[1], FREQUENCIES), dtype=np.float32) / np.float32(np.sqrt(width))
    angles = centred @ frequencies
    features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    features *= np.float32(FREQUENCIES**-0.5)
    return Features(features)


def _squared_distances(vectors: Singles) -> Singles:
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    return np.asarray(np.maximum(lengths[:, None] + lengths[None, :] - 2 * (vectors @ vectors.T), 0), dtype=np.float32)


def judge_distance(space: Space, texts: DistinctTexts, minimum: float, alpha: float, seed: int) -> tuple[JudgedChange, float]:
    """Whether the means lie more than `minimum` apart, in standard deviations of the reference, and the p-value of 'no difference'.

    A standard deviation is the root of the mean squared distance of the reference's rows from their mean.
    """
    unit = float(np.sqrt(max(space.variance(texts.reference) / (1 - texts.noise[0]), 1e-12)))
    draws = np.concatenate([space.squares(part) for part in texts.permuted(seed)])[:PERMUTATIONS]
    squared = float(space.squares(texts.excess[None])[0])
    beyond = max(0.0, squared - float(draws.mean()))
    contrast, extra = _contrast_along_directions(space, texts, float(draws.var()) / 2)
    tested = judge_mean(contrast, texts, minimum * unit, alpha, sides=1, extra=extra)
    error = np.sqrt(float(draws.var()) + 4 * beyond * standard_error(contrast, texts) ** 2)
    high = float(np.sqrt(beyond - float(special.ndtri(alpha)) * error))
    effect = float(np.sqrt(beyond))
    return JudgedChange(effect / unit, max(0.0, tested.low) / unit, high / unit, tested.p), permutation_p(squared, draws)


def _contrast_along_directions(space: Space, texts: DistinctTexts, second_order: float) -> tuple[Contrast, float]:
    """The difference of means along directions learned on the other folds, and the variance that the folds' kinship adds.

    The error of one fold is part of the direction of every other. With D the errors' covariance, a the length of what a direction
    is read from, and F folds, that adds F / (F - 1) * trace(D^2) / a^2. `second_order` is the trace: half the variance of the
    permuted squares.
    """
    within = texts.folds[None, :] == np.arange(FOLDS)[:, None]
    window, reference = within @ texts.window, within @ texts.reference
    usable = (window > 0) & (reference > 0) & (window < 1 - 1e-9) & (reference < 1 - 1e-9)
    outside = ~within[usable] * (texts.window / (1 - window[usable])[:, None] - texts.reference / (1 - reference[usable])[:, None])
    lengths = np.sqrt(np.maximum(space.squares(outside), 1e-300))
    scores = space.products(outside) / lengths[:, None]
    weight = window[usable] / window[usable].sum()
    by_text, value, spread = np.zeros(texts.n), 0.0, np.zeros(2)
    for score, inside, share, now, was in zip(scores, within[usable], weight, window[usable], reference[usable], strict=True):
        of_window, of_reference = inside * texts.window / now, inside * texts.reference / was
        means = of_window @ score, of_reference @ score
        value += float(share * (means[0] - means[1]))
        by_text += share * (of_window * (score - means[0]) - of_reference * (score - means[1]))
        spread += share * np.array([of_reference @ (score - means[1]) ** 2, of_window @ (score - means[0]) ** 2])
    variance = float(spread.max()) * sum(texts.noise)
    extra = FOLDS / (FOLDS - 1) * second_order / float(np.mean(lengths**2)) if len(lengths) else 0.0
    return Contrast(value, by_text, variance), extra


def strangest_texts(space: Space, texts: DistinctTexts, count: int) -> list[int]:
    """The distinct texts of the window that lie farthest along the change, as numbers in `texts`."""
    along = space.products(texts.excess[None])[0]
    inside = np.flatnonzero(texts.window > 0)
    return [int(number) for number in inside[np.argsort(-along[inside], kind="stable")][:count]]
