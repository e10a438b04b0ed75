"""The one spelling of a number, whatever file it came from."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from tasks.data.normalise import normalise_text

VERSION = 1
BELONGS = "1"  # the target of a pair that belongs together; feedback may say 0
LARGEST = 1e20  # errors of such numbers can be squared and cubed; a whole number of 64 bits is smaller
FORM = "digits with a decimal point, without separators of thousands or units, such as 1234.5, and no more than 1e20"
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
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
