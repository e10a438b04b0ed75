"""How well a base's tokenizer fits texts: one that was made for another language cuts its words into letters, or knows none.

A network reads such texts with difficulty, and few of them within its length; nothing fails, so it is said. Measured, as a network
reads texts, on a sample: the share of tokens that stand for unknown text; the share of single letters among tokens of letters; and
tokens a word, where each letter of a script without spaces is a word. The bounds were chosen on example sentences of 62 languages:
under an English WordPiece vocabulary of 30,522 single letters are at most 0.34 in Latin scripts (Azerbaijani, 0.51, alone is above)
and 0.86 to 1.0 in Cyrillic, Greek, Arabic and Hebrew, where there are 3.1 to 6.5 tokens a word (English 1.1, German 2.2, Turkish
3.6, Russian 5.6); of Chinese 56 % are unknown. Under 512 pieces with bytes behind them Chinese has 3.5 tokens a letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.data.preparation.deduplicate import UNSPACED, shingle_words
from tasks.data.preparation.token_lengths import load_tokenizer, unknown_token_id
from tasks.data.redaction.placeholders import network_view
from tasks.data.turns import spoken_text

MOST_UNKNOWN, MOST_SINGLE = 0.02, 0.35
MOST_TOKENS, MOST_TOKENS_UNSPACED = 4.0, 2.0  # a word; a letter of scripts without spaces
SAMPLE = 500  # texts of a language
LONGEST = 2_000  # characters of each
LEAST_WORDS = 100  # fewer say nothing of a language
ALL = "all rows"
_UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True)
class TokenizerFit:
    """Shares, 0 to 1, and tokens a word, of texts of so many words."""

    unknown: float
    single: float
    tokens_a_word: float
    words: int
    unspaced: float  # the share of words that are letters of scripts without spaces

    @property
    def is_poor(self) -> bool:
        """Whether one of them is above its bound, of texts that are enough to say so."""
        most = MOST_TOKENS + (MOST_TOKENS_UNSPACED - MOST_TOKENS) * self.unspaced
        over = self.unknown > MOST_UNKNOWN or self.single > MOST_SINGLE or self.tokens_a_word > most
        return self.words >= LEAST_WORDS and over


def tokenizer_fit(file: Path, texts: Sequence[str]) -> TokenizerFit:
    """The fit of a tokenizer (tokenizer.json) to texts."""
    read = [spoken_text(text).replace("\x1e", " ")[:LONGEST] for text in network_view(texts[:SAMPLE])]
    unknown_id = unknown_token_id(file)
    tokens = unknown = letters = single = 0
    words = [word for text in read for word in shingle_words(text)]
    unspaced = sum(bool(_UNSPACED_LETTER.match(word)) for word in words) / max(1, len(words))
    for text, encoded in zip(read, load_tokenizer(file).encode_batch(read, add_special_tokens=False), strict=True):
        tokens += len(encoded.ids)
        unknown += encoded.ids.count(unknown_id) if unknown_id is not None else 0
        for start, end in encoded.offsets:
            piece = text[start:end].strip()
            if piece[:1].isalpha() and not _UNSPACED_LETTER.match(piece):
                letters, single = letters + 1, single + (len(piece) == 1 and _is_within_word(text, start, end))
    return TokenizerFit(unknown / max(1, tokens), single / max(1, letters), tokens / max(1, len(words)), len(words), unspaced)


def _is_within_word(text: str, start: int, end: int) -> bool:
    """Whether a letter's token is a part of a longer word."""
    return text[start - 1 : start].isalpha() or text[end : end + 1].isalpha()


def poor_fit_sentence(base: str, language: str, fit: TokenizerFit) -> str:
    """The warning: which texts, how they are read, and what helps."""
    where = "these rows" if language == ALL else f"rows of language {language}"
    return (
        f"the tokenizer of {base} does not fit {where}: {fit.unknown:.0%} of its tokens are unknown, {fit.single:.0%} of those of "
        f"letters are single ones, {fit.tokens_a_word:.1f} tokens a word: name a base that was trained on such texts, or, where "
        "words are only cut finely, raise model.max_length"
    )
