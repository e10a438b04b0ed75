"""Numbers as a reader expects them."""

from __future__ import annotations

import pytest

from tasks.report.draw import formats


def plain(text: str) -> str:
    return text.replace(formats.THIN, " ").replace(formats.MINUS, "-").replace(formats.ABSENT, "none")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.21, "0.210"), (-0.5, "-0.500"), (48.31, "48.3"), (110.2, "110"), (12345.6, "12 346"), (0.00042, "4.20e-04"),
     (None, "none"), (float("nan"), "none"), (float("inf"), "none"), (9.999, "10.0"), (99.96, "100")],
)  # fmt: skip
def test_a_number_has_three_digits(value: float | None, shown: str) -> None:
    assert plain(formats.format_number(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9385, "93.8 %"), (1.0, "100.0 %"), (-0.02, "-2.0 %"), (None, "none"), (float("nan"), "none")]
)
def test_a_share_is_in_per_cent(value: float | None, shown: str) -> None:
    assert plain(formats.format_share(value)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.018, "share", "+1.8 points"), (-0.225, "share", "-22.5 points"), (0.82, "number", "+0.820"), (-3.0, "number", "-3.00"),
     (0.0, "number", "0"), (None, "share", "none")],
)  # fmt: skip
def test_a_difference_carries_its_sign(value: float | None, unit: formats.Unit, shown: str) -> None:
    assert plain(formats.difference_text(value, unit)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.00042, "0.00042"), (0.000961, "0.00096"), (0.049, "0.049"), (0.23, "0.23"), (1.0, "1.00"), (1e-9, "< 0.000001"),
     (0.0, "< 0.000001"),
     (0.0000123, "0.000012"), (None, "none")],
)  # fmt: skip
def test_a_small_p_value_keeps_the_digits_that_decide(value: float | None, shown: str) -> None:
    assert plain(formats.p_value(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 B"), (999, "999 B"), (2_480_000, "2.5 MB"), (90_900_000, "90.9 MB"), (3e12, "3.0 TB")]
)
def test_bytes_are_shown_in_a_unit_that_fits(value: int, shown: str) -> None:
    assert formats.byte_size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(2.84, "2.8 s"), (61.7, "1 min 02 s"), (59.96, "1 min 00 s"), (3600.0, "1 h 00 min"), (None, "none")]
)
def test_seconds_turn_into_minutes(value: float | None, shown: str) -> None:
    assert plain(formats.format_seconds(value)) == shown


def test_an_outcome_nobody_foresaw_is_shown_in_its_own_words() -> None:
    assert formats.outcome_mark("ruled_out") == formats.outcome_mark("ruled out")
    assert formats.outcome_mark("too few rows")[0] == "none"
    assert formats.outcome_mark("waived_by_hand") == ("none", "·", "waived by hand")


def test_a_long_text_says_how_much_was_cut() -> None:
    assert formats.clip_text("a" * 20, 20) == "a" * 20
    assert plain(formats.clip_text("a" * 1020, 20)) == "a" * 20 + "… (+1 000 characters)"
