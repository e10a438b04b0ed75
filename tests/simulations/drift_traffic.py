"""Rows for `watch`, and lives of a champion that `watch` itself judges: fewer looks, each at a window of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from configs.schema import Effects, Monitor
from tasks.drift import categories, statistics
from tasks.drift.monitors import MONITORS, Sample, run_monitors
from tasks.drift.statistics import JudgedChange
from tasks.drift.types import Finding, MonitorQuestion

SPREAD = 0.6  # of log lengths
KINDS = ("each text once", "bursts", "popular texts")
LEAST, AXES = Effects(), 8

OF_CLASSES = tuple(
    name
    for name in MONITORS
    if name
    not in (
        "predictions.labels",
        "predictions.number",
        "predictions.no_answer",
        "predictions.answer_length",
        "performance.error",
        "performance.language_accuracy",
        "performance.language_error",
    )
)


def texts(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.int64]:
    """Codes of n texts: all distinct; sent 1 to 40 times each (heavy tail); or two fifths from a stock of 300 popular ones."""
    fresh = rng.integers(1000, 2**62, n)
    if kind == "bursts":
        return np.repeat(fresh, np.minimum(rng.zipf(1.7, n), 40))[:n]
    if kind == "popular texts":
        weight = 1 / np.arange(1, 301)
        return np.where(rng.random(n) < 0.4, rng.choice(300, n, p=weight / weight.sum()), fresh)
    return fresh


def traffic(seed: int, n: int, kind: str = "each text once", shift: float = 0.0, audit: float = 1.0, axes: int = AXES) -> Sample:
    """Rows of which all that a monitor reads is a function of the text; `shift` moves the embeddings, in standard deviations."""
    rng = np.random.default_rng(seed)
    codes, number = np.unique(texts(rng, n, kind), return_inverse=True)
    popular = np.random.default_rng(0)
    draws = rng.random((len(codes), 6))
    draws[codes < 1000] = popular.random((300, 6))[codes[codes < 1000]]
    normal = rng.standard_normal((len(codes), axes))
    normal[codes < 1000] = popular.standard_normal((300, axes))[codes[codes < 1000]]
    normal[:, 0] += shift * np.sqrt(axes)
    confidence = special.betaincinv(8, 2, draws[:, 4])
    correct = (draws[:, 5] < confidence).astype(np.float64)
    audited = rng.random(n) < audit
    return Sample(
        texts=codes[number],
        embeddings=normal.astype(np.float32)[number],
        numbers={"length": np.exp(SPREAD * special.ndtri(draws[:, 0]))[number], "vocabulary": (draws[:, 1] ** 9)[number]},
        categories={"language": np.array(["en", "de", "fr"])[np.searchsorted([0.8, 0.95], draws[:, 2])][number]},
        flags={"missing": np.zeros(n, dtype=bool)},
        confidence=confidence[number],
        prediction=np.array([f"class {i:02}" for i in range(20)])[(draws[:, 3] * 20).astype(int)][number],
        correct=np.where(audited, correct[number], np.nan),
        audit_probability=np.full(n, audit),
    )


# --- lives that `watch` judges ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """Rows of reference and window, and how many minimums each quantity of the window truly changes by, but for confidence's.

    `harder`: so many minimums of accuracy are lost because inputs are less surely answered, which confidence foretells; `other`: so
    many because the same confidence is right less often; `change`: of everything else, the embeddings' by their plain distance or,
    with `kernel`, by that in the kernel's space. Every tenth row repeats the text before.
    """

    n_reference: int
    n_window: int
    change: float = 0.0
    harder: float = 0.0
    other: float = 0.0
    kernel: bool = False
    effects: Effects = LEAST

    @property
    def shift(self) -> float:
        """How far the embeddings move, in their standard deviations."""
        least = self.effects.embedding * self.change
        if not self.kernel:
            return least
        width = float(stats.chi2.median(AXES)) / 2
        same = (width / (width + 2)) ** (AXES / 2)  # the mean of the kernel between two of the reference
        return float(np.sqrt(-2 * (width + 2) * np.log(1 - least**2 * (1 - same) / (2 * same)) / AXES))


def rows(rng: np.random.Generator, n: int, at: World) -> Sample:
    """Rows as `at` has them changed, every one audited."""
    more = LEAST.share * at.change
    repeats = rng.random(n) < 0.1 + more
    number = np.cumsum(~repeats)
    number -= number[0]
    count = int(number[-1]) + 1
    draws = rng.random((count, 7))
    normal = rng.standard_normal((count, AXES))
    normal[:, 0] += at.shift * np.sqrt(AXES)
    confidence = special.betaincinv(8 - 10 * LEAST.accuracy * at.harder, 2 + 10 * LEAST.accuracy * at.harder, draws[:, 4])
    length = np.exp(SPREAD * special.ndtri(draws[:, 0]))
    deviation = np.sqrt(np.exp(SPREAD**2) * (np.exp(SPREAD**2) - 1))
    kind = (draws[:, 3] * 20).astype(int)
    kind -= 10 * ((kind >= 10) & (draws[:, 3] * 20 % 1 < 2 * more))
    missing = rng.random(count) < 0.05 + more
    return Sample(
        texts=rng.integers(0, 2**62, count)[number],
        embeddings=normal.astype(np.float32)[number],
        numbers={
            "length": (length + LEAST.number * at.change * deviation)[number],
            "vocabulary": (draws[:, 1] ** 9 + more)[number],
        },
        categories={"language": np.array(["en", "de", "fr"])[np.searchsorted([0.8 - more, 0.95 - more], draws[:, 2])][number]},
        flags={"missing": missing[number]},
        confidence=confidence[number],
        prediction=np.array([f"class {i:02}" for i in range(20)])[kind][number],
        correct=(draws[:, 5] < confidence - LEAST.accuracy * at.other)[number].astype(np.float64),
        audit_probability=np.ones(n),
    )


def least_p(seed: int, life: int, looks: int, at: World, read: Callable[[Sample], Sample]) -> tuple[NDArray[np.float64], bool]:
    """A life's least p-value of each of OF_CLASSES, in their order, and whether any look alarmed; `read`: what is looked at."""
    rng, monitor = np.random.default_rng((seed, life)), Monitor(looks_per_year=looks, effects=at.effects)
    found, any_alarm = np.ones(len(OF_CLASSES)), False
    reference = read(rows(rng, at.n_reference, World(at.n_reference, at.n_reference)))
    for look in range(1, looks + 1):
        findings = run_monitors(reference, read(rows(rng, at.n_window, at)), monitor, look, look)
        ps = {finding.monitor: finding.p for finding in findings}
        found = np.fmin(found, [ps.get(name, np.nan) for name in OF_CLASSES])
        any_alarm |= any(finding.alarm for finding in findings)
    return found, any_alarm


def whole(sample: Sample) -> Sample:
    return sample


def labelled(sample: Sample) -> Sample:
    """Without what has lives of its own: embeddings, numbers, gaps."""
    return replace(sample, embeddings=None, numbers={}, flags={})


def embedded(sample: Sample) -> Sample:
    return Sample(texts=sample.texts, embeddings=sample.embeddings)


@contextmanager
def against_the_minimum_alone() -> Iterator[None]:
    """Without the test of whether anything differs at all, which can but silence and takes most of the time.

    The distances of embeddings need its rearrangements for their error too, and keep them.
    """
    found = MonitorQuestion.found

    def alone(asked: MonitorQuestion, tested: JudgedChange, difference_p: float, rows: tuple[int, int], note: str = "") -> Finding:
        return found(asked, tested, 0.0, rows, note)

    with patch.object(statistics, "SMALL", 0), patch.object(categories, "SMALL", 0), patch.object(MonitorQuestion, "found", alone):
        yield
