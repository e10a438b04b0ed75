"""Texts unlike the reference: planted kinds are found, copies are shown once, and without a change the stated rates hold."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.drift.novelty import EXPECTED, novel_texts

TRIALS, RATE = 200, 0.05
CENTRES = np.random.default_rng(9).normal(size=(12, 32))


def kinds(rng: np.random.Generator, n: int, shares: dict[int, float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Embeddings of n texts of several kinds, and the kind of each."""
    kind = rng.choice(list(shares), size=n, p=list(shares.values()))
    return CENTRES[kind] + 0.75 * rng.normal(size=(n, CENTRES.shape[1])), kind


EVEN = dict.fromkeys(range(10), 0.1)


def test_a_planted_kind_is_found_with_its_share_and_typical_texts() -> None:
    rng = np.random.default_rng(0)
    reference, _ = kinds(rng, 600, EVEN)
    window, kind = kinds(rng, 500, {**dict.fromkeys(range(10), 0.085), 10: 0.15})
    found = novel_texts(reference, window)
    grown = found.growths[0]
    assert {int(kind[row]) for row in grown.typical} == {10}
    assert grown.window == pytest.approx(np.mean(kind == 10), abs=0.05) and grown.reference == pytest.approx(0.01)
    assert {int(kind[one.row]) for one in found.strangers} == {10}
    assert found.low > 5 * EXPECTED


def test_a_known_kind_that_only_became_busier_is_growth_and_not_strange() -> None:
    rng = np.random.default_rng(1)
    reference, _ = kinds(rng, 600, EVEN)
    window, kind = kinds(rng, 500, {**dict.fromkeys(range(10), 0.07), 3: 0.37})
    found = novel_texts(reference, window)
    assert found.growths and {int(kind[row]) for one in found.growths for row in one.typical} == {3}
    assert found.low <= EXPECTED


def test_without_a_change_the_stated_rates_hold() -> None:
    """`share` is right on average; some growth is claimed in 5 % of trials at most, with a tolerance of one false fail in 1,000."""
    claimed, shares = 0, []
    for trial in range(TRIALS):
        rng = np.random.default_rng(trial)
        found = novel_texts(kinds(rng, 400, EVEN)[0], kinds(rng, 300, EVEN)[0])
        claimed += bool(found.growths)
        shares.append(found.share)
    assert claimed / TRIALS <= RATE + 3.1 * np.sqrt(RATE * (1 - RATE) / TRIALS)
    assert np.mean(shares) == pytest.approx(EXPECTED, abs=3.3 * np.std(shares) / TRIALS**0.5 + 1e-3)


def test_a_text_sent_500_times_is_one_stranger_and_no_growth() -> None:
    rng = np.random.default_rng(2)
    reference, window = kinds(rng, 400, EVEN)[0], kinds(rng, 300, EVEN)[0]
    storm = 3 * CENTRES[11] + 0.001 * rng.normal(size=(500, CENTRES.shape[1]))
    found = novel_texts(reference, np.concatenate([window, storm]))
    assert (found.strangers[0].row, found.strangers[0].copies, found.n_window) == (300, 500, 301)
    assert not [one for one in found.growths if one.n == 1] and all(row < 300 for one in found.growths for row in one.typical)


def test_the_nearest_of_the_reference_is_named_by_its_row() -> None:
    rng = np.random.default_rng(3)
    reference = np.concatenate([np.repeat(kinds(rng, 1, EVEN)[0], 40, axis=0), kinds(rng, 60, EVEN)[0]])
    found = novel_texts(reference, reference[70:71] * 1.9 + 0.01)
    assert found.strangers[0].nearest == 70


def test_half_precision_and_rows_of_zeros_are_taken() -> None:
    rng = np.random.default_rng(4)
    reference, window = kinds(rng, 200, EVEN)[0].astype(np.float16), np.zeros((3, CENTRES.shape[1]), dtype=np.float16)
    assert np.isfinite([one.distance for one in novel_texts(reference, window).strangers]).all()


def test_too_small_a_reference_is_refused_and_an_empty_window_is_nothing() -> None:
    rng = np.random.default_rng(5)
    reference = kinds(rng, 50, EVEN)[0]
    with pytest.raises(ValueError, match="more than 5 are needed"):
        novel_texts(np.repeat(reference[:1], 30, axis=0), reference)
    assert novel_texts(reference, reference[:0]).strangers == ()
