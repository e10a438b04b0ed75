"""One spelling of a number, whatever wrote it; what is no number is no number."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.numbers import LARGEST, canonical_number, format_number


@pytest.mark.parametrize(
    ("cell", "spelled"),
    [
        (3, "3"), (3.0, "3"), ("3.0", "3"), ("+3", "3"), ("2.50", "2.5"), (" 7 ", "7"), ("-0.0", "0"), ("\u22124", "-4"),
        (".5", "0.5"),
                ("1e3", "1000"), (Decimal("1.10"), "1.1"), (2**60, str(float(2**60))), ("", None), (None, None), (math.nan, None),
    ],
)  # fmt: skip
def test_a_number_has_one_spelling(cell, spelled):
    assert canonical_number(cell) == spelled


@pytest.mark.parametrize(
    "cell", ["3,5", "1,234", "12 kg", "n/a", "1_000", "0x10", True, "inf", "1e999", math.inf, "nan", "--1", "1e21", -1e308]
)
def test_what_is_no_finite_number_is_refused(cell):
    with pytest.raises(ValueError):
        canonical_number(cell)


@given(st.floats(-LARGEST, LARGEST))
def test_a_spelled_number_reads_back_exactly_and_stays_as_it_is(number):
    spelled = format_number(number)
    assert float(spelled) == number and canonical_number(spelled) == spelled
