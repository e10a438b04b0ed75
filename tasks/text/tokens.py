"""How long texts are in a model's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.text.placeholders import network_view


@dataclass(frozen=True)
class TokenLengths:
    """Texts, as a network reads them, to their lengths in tokens, uncut; it pickles as the file's name (tokenizer.json)."""

    file: Path

    def __call__(self, texts: Sequence[str]) -> list[int]:
        return [len(row.ids) for row in _tokenizer(self.file).encode_batch(network_view(texts))]


@cache
def _tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
