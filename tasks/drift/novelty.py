"""Which texts of the window are unlike the reference, and where the window grew: by distances between embeddings, copies once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tasks.stats.arrays import Codes, Floats
from tasks.stats.intervals import wilson

NEIGHBOUR = 5
"""A text is as strange as its distance to this neighbour in the reference: the first few may be chance finds."""
EXPECTED = 0.01
"""Share of texts that would be called strange if nothing had changed."""
COPY = 0.02
"""Cosine distance below which two texts are shown as one."""
MOST = 10_000  # rows of either side that are compared; evenly thinned above
_BLOCK = 2_000_000  # similarities held at once: 8 MB

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class NovelText:
    """Row `row` of the window; `nearest` is the reference row most like it. `copies` rows, it among them, are near copies.

    `distance` is the cosine distance to the `NEIGHBOUR`-th nearest text of the reference; `p` the share of the reference's own
    texts that lie at least as far from the others: a conformal p-value (Vovk et al. 2005), so right whatever the distribution.
    """

    row: int
    nearest: int
    distance: float
    p: float
    copies: int


@dataclass(frozen=True)
class GrowingKind:
    """A kind of text that became more frequent: `typical` rows of the window, the middle one first, `nearest` the reference row
    most like that one. `n` distinct texts of the window are of this kind, share `window` of them, and `reference` of the
    reference's. `p` is of no growth here, before Bonferroni's correction over the window's texts."""

    typical: tuple[int, ...]
    nearest: int
    n: int
    window: float
    reference: float
    p: float


@dataclass(frozen=True)
class Novelty:
    """`share` of the window's distinct texts is stranger than 99 in 100 of the reference's, with its interval; `expected` would
    be so without any change. `strangers`: the most unlike first. `growths`: the largest first, disjoint."""

    share: float
    low: float
    high: float
    expected: float
    strangers: tuple[NovelText, ...]
    growths: tuple[GrowingKind, ...]
    n_reference: int
    n_window: int


def novel_texts(
    reference_embeddings: ArrayLike, window_embeddings: ArrayLike, k: int = 8, groups: int = 4, rate: float = 0.05
) -> Novelty:
    """The `k` window texts most unlike the reference, and at most `groups` kinds of text that grew.

    Embeddings: (n, d) and (m, d), any float type, not both from a model that was tuned in between; rows are made unit length, and
    near copies (cosine distance below `COPY`) are one text on either side. Strangeness is the distance to the k-th nearest
    neighbour in the reference (Ramaswamy, Rastogi and Shim 2000), held against the reference's own distances, each text left out.
    Growing kinds: around a window text, as far as the ball with a hundredth of the reference reaches, window texts are counted; if
    window and reference were of one kind, their order by distance would be a random one, and the count negative hypergeometric
    (the negative binomial, which is used, has fatter tails). The ball with the largest excess is taken, what it holds is set
    aside, and again, while p <= rate / m: some growth is claimed where there is none with probability `rate` at most.

    Needs more than `NEIGHBOUR` distinct reference texts, or ValueError.
    """
    old, new = _distinct_vectors(reference_embeddings), _distinct_vectors(window_embeddings)
    n, m = len(old.rows), len(new.rows)
    if n <= NEIGHBOUR:
        raise ValueError(f"{n} distinct texts in the reference: more than {NEIGHBOUR} are needed to say what is unlike them")
    if m == 0:
        return Novelty(0.0, 0.0, 1.0, EXPECTED, (), (), n, 0)
    ball = max(NEIGHBOUR, round(n / 100))
    own = np.sort(_nearest_distances(old.vectors, old.vectors, NEIGHBOUR + 1)[0][:, NEIGHBOUR])  # its first neighbour is itself
    near, first = _nearest_distances(new.vectors, old.vectors, min(n, max(ball, NEIGHBOUR)))
    distance = near[:, NEIGHBOUR - 1]
    p = (1 + n - np.searchsorted(own, distance - 1e-6, side="left")) / (n + 1)
    strange = int(np.count_nonzero(p <= EXPECTED))
    low, high = wilson(strange, m)
    strangers = tuple(
        NovelText(int(new.rows[i]), int(old.rows[first[i]]), float(distance[i]), float(p[i]), int(new.copies[i]))
        for i in np.argsort(-distance, kind="stable")[:k]
    )
    growths = _growing_kinds(new, old, _Neighbourhoods(near[:, ball - 1], first, ball), groups, rate)
    return Novelty(strange / m, float(low), float(high), EXPECTED, strangers, growths, n, m)


@dataclass(frozen=True, eq=False)
class _DistinctVectors:
    """Unit vectors of the distinct texts, their rows in what was given, and how many near copies each stands for."""

    vectors: Vectors
    rows: Codes
    copies: Codes


def _distinct_vectors(embeddings: ArrayLike) -> _DistinctVectors:
    vectors = np.asarray(embeddings, dtype=np.float32)
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), MOST)).astype(np.int64))
    vectors = vectors[rows]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    leader = np.arange(len(vectors))
    for start, similar in _similarity_blocks(vectors, vectors):
        leader[start : start + len(similar)] = np.argmax(similar > 1 - COPY, axis=1)  # the earliest near copy, itself at the latest
    leader = np.minimum(leader, np.arange(len(vectors)))  # a zero vector is near nothing, not even itself
    while True:
        further = leader[leader]
        if np.array_equal(further, leader):
            break
        leader = further
    leaders, copies = np.unique(leader, return_counts=True)
    return _DistinctVectors(vectors[leaders], rows[leaders], copies)


def _similarity_blocks(left: Vectors, right: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Similarities of some rows of `left` with all of `right`, and where those rows begin."""
    step = max(1, _BLOCK // max(1, len(right)))
    for start in range(0, len(left), step):
        yield start, left[start : start + step] @ right.T


def _nearest_distances(left: Vectors, right: Vectors, k: int) -> tuple[Floats, Codes]:
    """Cosine distances of each row of `left` to its k nearest in `right`, ascending, (n, k), and the nearest one's row."""
    near, first = np.empty((len(left), k)), np.empty(len(left), dtype=np.int64)
    for start, similar in _similarity_blocks(left, right):
        part = slice(start, start + len(similar))
        near[part] = 1 - np.sort(np.partition(similar, len(right) - k, axis=1)[:, len(right) - k :], axis=1)[:, ::-1]
        first[part] = np.argmax(similar, axis=1)
    return near, first


@dataclass(frozen=True, eq=False)
class _Neighbourhoods:
    """Around each window text: how far the ball reaches that holds `ball` reference texts, and which of them is the nearest."""

    reach: Floats
    first: Codes
    ball: int


def _growing_kinds(
    new: _DistinctVectors, old: _DistinctVectors, around: _Neighbourhoods, groups: int, rate: float
) -> tuple[GrowingKind, ...]:
    """Greedy: the ball with the largest excess of window texts, what it holds set aside, the next; see `novel_texts`."""
    n, m, ball, reach = len(old.rows), len(new.rows), around.ball, around.reach
    expected = ball * m / n
    growths: list[GrowingKind] = []
    left = np.ones(m, dtype=np.bool_)
    while len(growths) < groups:
        counts = _counts_in_reach(new.vectors, reach, left)
        centre = int(np.argmax(counts))
        n_inside = int(counts[centre])
        p = float(special.betainc(n_inside, ball, m / (n + m))) if n_inside else 1.0
        if n_inside <= expected or p > rate / m:
            break
        members = np.flatnonzero(left & (1 - new.vectors @ new.vectors[centre] <= reach[centre]))
        inner = members[np.argsort(-(new.vectors[members] @ new.vectors[members].mean(axis=0)), kind="stable")]
        typical = tuple(int(new.rows[i]) for i in inner[:3])
        growths.append(GrowingKind(typical, int(old.rows[around.first[inner[0]]]), len(members), len(members) / m, ball / n, p))
        left[members] = False
    return tuple(growths)


def _counts_in_reach(vectors: Vectors, reach: Floats, left: NDArray[np.bool_]) -> Codes:
    """How many texts still left, other than itself, lie within reach of each text still left; -1 for the others."""
    counts = np.full(len(vectors), -1, dtype=np.int64)
    rows = np.flatnonzero(left)
    for start, similar in _similarity_blocks(vectors[rows], vectors[rows]):
        mine = rows[start : start + len(similar)]
        counts[mine] = np.count_nonzero(1 - similar <= reach[mine][:, None], axis=1) - 1
    return counts
