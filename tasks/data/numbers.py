"""The one spelling of a number, whatever file it came from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from tasks.data.normalise import normalise_text

VERSION = 1
BELONGS = "1"  # the target of a pair that belongs together; feedback may say 0
LARGEST = 1e20  # errors of such numbers can be squared and cubed; a whole number of 64 bits is smaller
FORM = "digits with a decimal point, without separators of thousands or units, such as 1234.5, and no more than 1e20"
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
DIGITS = 6  # significant ones of an answer: those that fp32 holds
_WHOLE_BELOW = 2.0**53  # from here on a float is no longer every whole number


def canonical_number(value: object) -> str | None:
    """The number of a cell as text: `3`, `3.0` and `+3` give `3`, `2.50` gives `2.5`; None for an empty cell or NaN.

    Raises ValueError for what is no number in the form of FORM, or beyond LARGEST: `3,5` is three and a half here and a list there.
    """
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    text = normalise_text(str(value)).replace("\N{MINUS SIGN}", "-")
    if not text:
        return None
    if not isinstance(value, int | float | Decimal) and not _NUMBER.fullmatch(text):
        raise ValueError("not in the form of a number")
    number = float(text)
    if abs(number) > LARGEST:
        raise ValueError("not finite, or larger than anything can be learned from")
    return format_number(number)


def format_number(number: float) -> str:
    """A finite number in its canonical spelling, which `float` reads back exactly."""
    return str(int(number)) if number.is_integer() and abs(number) < _WHOLE_BELOW else repr(number)


def read_numbers(targets: Iterable[str]) -> npt.NDArray[np.float64]:
    """Targets in their canonical spelling as numbers (n,)."""
    return np.array([float(target) for target in targets], dtype=np.float64)


def round_answers(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers (n,) to as many digits as a network computes them with."""
    return np.array([float(f"{number:.{DIGITS}g}") for number in numbers.tolist()], dtype=np.float64)
