"""How long texts are in a model's own tokens, and how many of those tokens it does not know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.data.redaction.placeholders import network_view
from tasks.data.text_parts import shown_parts, split_parts

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class TokenLengths:
    """Texts, as a network reads them, to their lengths in tokens, uncut; it pickles as the file's name (tokenizer.json)."""

    file: Path

    def __call__(self, texts: Sequence[str]) -> list[int]:
        return [len(row.ids) for row in load_tokenizer(self.file).encode_batch([shown_parts(text) for text in network_view(texts)])]


@dataclass(frozen=True)
class UnknownShares:
    """Texts to the share of their tokens, 0 to 1, that the vocabulary lacks; it pickles as the file's name (tokenizer.json).

    A text of which no token is left is unknown as a whole: some tokenizers drop what they do not know.
    """

    file: Path

    def __call__(self, texts: Sequence[str]) -> list[float]:
        unknown = unknown_token_id(self.file)
        rows: list[Sequence[int | None]] = [
            row.ids
            for row in load_tokenizer(self.file).encode_batch(
                [" ".join(split_parts(text)) for text in texts], add_special_tokens=False
            )
        ]
        return [row.count(unknown) / len(row) if row else 1.0 for row in rows]


@cache
def unknown_token_id(file: Path) -> int | None:
    """The id of the token for text that the vocabulary lacks; None where every character has a token, as with bytes."""
    model = json.loads(file.read_text(encoding="utf-8"))["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else load_tokenizer(file).token_to_id(token)


@cache
def load_tokenizer(file: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
