"""The marks by which some tokenizers name the language of a text: de_DE (mBART), deu_Latn (NLLB) or __de__ (M2M-100)."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from configs.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOKEN = re.compile(r"([a-z]{3}_[A-Z][a-z]{3})|__(\w+?)__")
SHOWN = 8  # codes that one message names


def marks_languages(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer puts a mark of its language to a text."""
    return hasattr(tokenizer, "set_src_lang_special_tokens")


def language_marks(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Code -> token of each language that a tokenizer marks: from its own table, or else from its special tokens."""
    unknown, table = tokenizer.unk_token_id, getattr(tokenizer, "lang_code_to_id", None)
    if not table:
        matched_tokens = [(token, _TOKEN.fullmatch(token)) for token in tokenizer.all_special_tokens]
        table = {match[1] or match[2]: tokenizer.convert_tokens_to_ids(token) for token, match in matched_tokens if match}
    return {code: int(token) for code, token in table.items() if token not in (None, unknown)}


def language_mark(tokenizer: PreTrainedTokenizerBase, code: str, setting: str, name: str) -> int:
    """The token of a language; InputError, with the codes that are like it, where the tokenizer of base `name` has none."""
    marks = language_marks(tokenizer)
    if code not in marks:
        known = ", ".join(sorted(marks, key=lambda each: _distance(each, code))[:SHOWN])
        more = f" and {len(marks) - SHOWN} more" if len(marks) > SHOWN else ""
        raise InputError(
            f"{setting} {code}: the tokenizer of {name} marks languages, and has no such code: write one of "
            f"{known or 'those that it was made with'}{more}"
        )
    return marks[code]


def _distance(code: str, other: str) -> tuple[bool, float, str]:
    """What sorts codes by how like another they are: by their beginning first, as languages are named."""
    one, two = code.lower(), other.lower()
    return not one.startswith(two[:2]), -difflib.SequenceMatcher(None, one, two).ratio(), code
