from __future__ import annotations

import numpy as np
import pytest

from tasks.gate.calibration import expected_calibration_error, reliability_bins


def test_the_calibration_error_is_the_one_worked_out_by_hand() -> None:
    """Two bins: mean confidence 0.4 and a quarter right; mean confidence 0.9 and all right: (4 * 0.15 + 2 * 0.1) / 6."""
    confidence, correct = [0.3, 0.5, 0.4, 0.4, 0.95, 0.85], [0, 1, 0, 0, 1, 1]
    curve = reliability_bins(confidence, correct, bins=2)
    assert curve.confidence == pytest.approx([0.4, 0.9])
    assert curve.accuracy == pytest.approx([0.25, 1.0])
    assert curve.count.tolist() == [4, 2]
    assert curve.error == pytest.approx(0.8 / 6)
    assert curve.largest_error == pytest.approx(0.15)


def test_a_model_that_is_right_as_often_as_it_says_has_next_to_no_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 200_000)
    assert expected_calibration_error(confidence, rng.random(200_000) < confidence) < 0.01


def test_an_overconfident_model_has_the_error_of_its_boast() -> None:
    rng = np.random.default_rng(1)
    assert expected_calibration_error(np.full(100_000, 0.99), rng.random(100_000) < 0.79) == pytest.approx(0.2, abs=0.005)


def test_bins_of_equal_mass_hold_equally_many_rows() -> None:
    curve = reliability_bins(np.random.default_rng(2).beta(8, 1, 1000), np.ones(1000), bins=10, binning="mass")
    assert curve.count.tolist() == [100] * 10


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_certainty_and_its_opposite_fall_into_bins(binning: str) -> None:
    curve = reliability_bins([0.0, 1.0, 1.0], [0, 1, 1], binning=binning)  # type: ignore[arg-type]
    assert int(curve.count.sum()) == 3
    assert curve.error == pytest.approx(0 if binning == "width" else curve.error)


def test_equal_confidences_make_one_bin() -> None:
    curve = reliability_bins([0.7, 0.7], [1, 0], binning="mass")
    assert curve.count.tolist() == [2]
