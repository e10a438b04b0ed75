"""Measures of texts that need not understand them: plain functions over columns, tested without a suite."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# A redacted value, as in <EMAIL_ADDRESS:3f2a> or [PERSON_1], says nothing about the text it stands in.
PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*(?:[:#_-][^<>\s]{1,64})?>|\[[A-Z][A-Z0-9_]{2,}(?:[:#][^\[\]\s]{1,64})?\]")
WORD = re.compile(r"[^\W\d_]{2,}")
STAND_INS = frozenset({"n/a", "na", "nan", "none", "null", "nil", "test", "testing", "tbd", "todo", "xxx", "asdf", "lorem ipsum"})
# C0 and C1 controls but tab and line ends; bidirectional overrides, which show a reader another text than the model is given.
# U+001E stands between the texts of a pair: whatever is written, none comes into a text (tasks/data/text_parts.py).
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1d\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
# UTF-8 read as Windows-1252 or Latin-1 leaves a lead byte (C2-F4 as a letter) and then a continuation byte (80-BF).
_CONTINUATION = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_DAMAGE = re.compile(
    f"[\u00c2-\u00df][{_CONTINUATION}]|[\u00e0-\u00ef][{_CONTINUATION}]{{2}}|[\u00f0-\u00f4][{_CONTINUATION}]{{3}}"
)
_BYTES = {bytes([b]).decode("cp1252", "replace"): b for b in range(0x80, 0x100) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_SUSPECT = f"\ufffd|[\u00c2-\u00f4][{_CONTINUATION}]"


def words_of(text: str) -> list[str]:
    """The text's words in lower case, without digits and without redacted values."""
    return WORD.findall(without_placeholders(text).lower())


def without_placeholders(text: str) -> str:
    """A text without its redacted values; most have none, and a look for a bracket is ten times cheaper than the pattern."""
    return PLACEHOLDER.sub(" ", text) if "<" in text or "[" in text else text


def says_something(text: str) -> bool:
    """Whether anything is left of a text once stand-ins ("n/a", "test"), redacted values and marks are taken away."""
    rest = without_placeholders(text).strip()
    return rest.lower().strip(" .!?-") not in STAND_INS and any(c.isalnum() for c in rest)


def is_damaged(text: str) -> bool:
    """Whether bytes were decoded wrongly: a replacement character, or UTF-8 that was read as a Western code page.

    A pair that merely looks like it ("Ã©" in a lesson on encodings) counts too; letters that do not decode to UTF-8 do not.
    """
    if "\ufffd" in text:
        return True
    return any(_is_utf8(m.group()) for m in _DAMAGE.finditer(text))


def _is_utf8(run: str) -> bool:
    try:
        bytes(_BYTES.get(c, ord(c)) for c in run).decode("utf-8")
    except (UnicodeDecodeError, ValueError):
        return False
    return True


def damaged_rows(texts: pd.Series[str]) -> pd.Series[bool]:
    """`is_damaged` per row; one vectorised pass leaves only suspects for the slow check."""
    suspect = texts.str.contains(_SUSPECT, regex=True).to_numpy(dtype=bool, copy=True)
    suspect[suspect] = [is_damaged(t) for t in texts.to_numpy(dtype=object)[suspect]]
    return pd.Series(suspect, index=texts.index)


def foreign_rows(texts: pd.Series[str], languages: Collection[str], min_characters: int, min_confidence: float) -> pd.Series[bool]:
    """Rows whose language is, with at least `min_confidence`, none of `languages` (ISO 639-1 codes).

    Shorter texts and unsure guesses pass: a language model of byte n-grams is often wrong on five words.

    Raises:
        ValueError: a code that the identifier does not know.
    """
    model, known = language_model()
    unknown = sorted(set(languages) - known)
    if unknown:
        raise ValueError(f"unknown language codes {unknown}: use ISO 639-1 codes such as en, de, fr")
    expected = set(languages)

    def is_foreign(text: str) -> bool:
        rest = without_placeholders(text).strip()
        if len(rest) < min_characters:
            return False
        code, probability = model.classify(rest[:2000])
        return code not in expected and probability >= min_confidence

    return pd.Series([is_foreign(t) for t in texts], index=texts.index, dtype=bool)


@cache
def language_model() -> tuple[LanguageIdentifier, frozenset[str]]:
    """The model of languages and the codes that it knows: loaded once (0.5 s), as the library's own gives no probabilities."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return model, frozenset(str(c) for c in model.labels)


def value_shares(values: pd.Series[str]) -> dict[str, float]:
    """Each value's share of the rows, nulls left out, most frequent first."""
    return {str(k): float(v) for k, v in values.value_counts(normalize=True).items() if v > 0}


def total_variation(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Half the sum of absolute differences: the share of rows that would have to change their label; 0 to 1."""
    keys = list({**ours, **theirs})
    return float(0.5 * np.abs([ours.get(k, 0.0) - theirs.get(k, 0.0) for k in keys]).sum())
