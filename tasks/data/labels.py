"""The one spelling of a label, whatever file it came from, and the fold that labels share which differ in spelling alone.

`canonical_label` makes equal what formats write differently: 2.0 of a Parquet file and 2 of a CSV file are one class. Labels are
compared by it. `fold_label` makes equal what people write differently: `Log in`, `log-in` and `LOGIN` have one fold. By it a
contract asks whether a label is a new class, or a known one in another spelling.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

from tasks.data.normalise import normalise_text
from tasks.data.text_parts import plain_part

VERSION = 1
WHOLE_BELOW = 1e16  # from here on Python and pandas write floats with an exponent: their last digits are not the number's own
_TRUTH = {spelling: word for word in ("true", "false") for spelling in (word, word.title(), word.upper())}
_INTEGRAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.0+")
# As Python, pandas and R write a float (1e+05), and as Java does (1.0E5). `1e5` may be a code: it is left alone.
_SCIENTIFIC = re.compile(r"-?[0-9](?:\.[0-9]+)?[eE][+-][0-9]{2,3}|-?[0-9]\.[0-9]+E-?[0-9]{1,3}")

_MEANINGFUL = frozenset("#%*‰‱")  # punctuation that carries meaning; symbols (+ < = $ ...) do too, and are no punctuation
_NEUTRAL = frozenset("|")  # a symbol that only separates
_DASH = re.compile("[\u058a\u2010-\u2015\u2212\u2e3a\u2e3b]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]")  # format characters, variation selectors
_JOINS = frozenset(" _-")


def canonical_label(value: object) -> str | None:
    """The label of a cell: text normalised, integral floats as integers, booleans as `true` and `false`; None for an empty cell.

    `2.0`, `2.00` and the float 2.0 give `2`, `-0.0` gives `0`, `True` gives `true`, NaN is empty. Texts such as `007`, `1.50`,
    `1e3` and `2.` stay what they are: they may be codes. Applied again it changes nothing.
    """
    if isinstance(value, Decimal):
        value = format(value.normalize(), "f") if value.is_finite() else None if value.is_nan() else float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = normalise_text(plain_part(str(value)))
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGRAL.fullmatch(text) or _SCIENTIFIC.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return str(int(number)) if number.is_integer() and abs(number) < WHOLE_BELOW else repr(number)
    return text or None


def canonical_labels(values: Iterable[str]) -> tuple[str, ...]:
    """The labels of a network or a manifest of any version, in their order; equal ones may come out where two spellings went in."""
    return tuple(canonical_label(value) or "" for value in values)


def fold_label(label: str) -> str:
    """The fold: equal for labels that differ only in case, spacing, punctuation or Unicode form (NFKC).

    Signs and symbols stay, since they carry meaning: -1 and 1, C, C++ and C#, A and A-, 1.5 and 15, !spam and spam have folds
    of their own. A hyphen within a word, like a space or an underscore, only joins. A label of punctuation alone is its own fold.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    text = " ".join(_INVISIBLE.sub("", _DASH.sub("-", text)).split())
    runs = [(is_word, "".join(run)) for is_word, run in groupby(text, _is_word_character)]
    parts = []
    for place, (is_word, run) in enumerate(runs):
        left = runs[place - 1][1][-1] if place else ""
        right = runs[place + 1][1][0] if place + 1 < len(runs) else ""
        parts.append(run if is_word else _significant_punctuation(run, left, right))
    return "".join(parts) if any(is_word for is_word, _ in runs) else text


def by_fold(labels: Iterable[str]) -> dict[str, list[str]]:
    """Fold -> the labels that share it, each once and in order."""
    groups = defaultdict(list)
    for label in sorted(set(labels)):
        groups[fold_label(label)].append(label)
    return dict(groups)


def respell_label(label: str, folds: dict[str, list[str]]) -> str:
    """The one label of `folds` (from `by_fold`) that differs from `label` in spelling alone, or `label` where there is none."""
    alike = folds.get(fold_label(label), [])
    return alike[0] if len(alike) == 1 else label


def _is_word_character(character: str) -> bool:
    category = unicodedata.category(character)
    if category[0] == "S":
        return category != "Sk" and character not in _NEUTRAL
    return category[0] in "LNM" or character in _MEANINGFUL


def _significant_punctuation(gap: str, left: str, right: str) -> str:
    """The punctuation and spaces between two characters of words that have to stay; `left` and `right` are empty at the ends.

    Between digits all of it (1.5 is not 15), where only the ways to join them are one. Else a sign before a number or at the
    label's begin, a sign after a word (A-), the point of .5, and the ! of !spam.
    """
    if left.isdigit() and right.isdigit():
        return " " if _JOINS.issuperset(gap) else gap.replace(" ", "")
    stays = "!" if not left and gap.startswith("!") else ""
    if left and (after := re.match(r"-+(?= |$)", gap)) and not (right and after.group() == gap):
        stays += after.group()
    if right and (before := re.search(r"(?:^|[^-])(-*)([.,]?)$", gap)):
        starts = not left or len(gap) > len(before[1] + before[2])
        stays += before[1] if starts and (right.isdigit() or not left) else ""
        stays += before[2] if starts and right.isdigit() else ""
    return stays
