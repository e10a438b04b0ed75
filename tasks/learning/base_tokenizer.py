"""Checks a base's tokenizer by using it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.common.bases import base_files
from tasks.common.files import replaced_file
from tasks.learning.base_files import TOKENIZER_FILES, no_tokenizer
from tasks.problems.library_errors import REFUSALS, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.base import Problem

SAMPLE = 200  # words of its own vocabulary that a tokenizer has to read


def usable_tokenizer(name: str, path: Path, problem: Problem, max_length: int) -> PreTrainedTokenizerBase:
    """The tokenizer; raises InputError where it is missing, knows no word, or lacks a token that the problem needs."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (*REFUSALS, OSError) as error:
        raise InputError(
            f"model.base {name}: its tokenizer cannot be read ({first_line(error)}){_tokenizer_remedy(path)}"
        ) from None
    if not _knows_own_words(tokenizer):
        raise InputError(f"model.base {name}: its tokenizer reads every text as unknown tokens{_tokenizer_remedy(path)}")
    _check_stored_files(name, path, tokenizer)
    _check_end_token(name, tokenizer, problem)
    added = len(tokenizer("")["input_ids"])
    if added >= max_length:
        raise InputError(
            f"model.max_length {max_length}: the tokenizer of {name} adds {added} tokens to each text, so nothing of it is left: "
            f"set model.max_length to {added + 1} or more"
        )
    return tokenizer


def write_tokenizer(path: Path, file: Path) -> None:
    """Write the tokenizer of a base as a tokenizer.json, for code that reads no other form; nothing where it has none (bytes)."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        with replaced_file(file) as aside:
            backend.save(str(aside))


def check_embedded(name: str, tokenizer: PreTrainedTokenizerBase, rows: int | None) -> None:
    """Raises InputError where the tokenizer gives ids that the network has no embedding for; `rows` None: it computes them."""
    highest = max(tokenizer.get_vocab().values())
    if rows is not None and highest >= rows:
        raise InputError(
            f"model.base {name}: its network has embeddings for {rows:,} tokens, its tokenizer gives ids up to {highest:,}: put "
            "the tokenizer there that the weights were trained with, or enlarge the network (resize_token_embeddings) "
            "and save it again"
        )


def _tokenizer_remedy(path: Path) -> str:
    if any((path / file).is_file() for file in TOKENIZER_FILES):
        return ": put the tokenizer there that the weights were trained with"
    return f": {no_tokenizer(path)}"


def _knows_own_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it finds known tokens in at least one of the words that it is made of."""
    special, unknown = set(tokenizer.all_special_ids), tokenizer.unk_token_id
    words = sorted(place for place in tokenizer.get_vocab().values() if place not in special)
    if not words:  # a tokenizer of bytes may list none
        return _knows_any_token(tokenizer, ["a text"], unknown)
    step = max(1, len(words) // SAMPLE)
    return _knows_any_token(tokenizer, [tokenizer.decode([word]) for word in words[::step]], unknown)


def _knows_any_token(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], unknown: int | None) -> bool:
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return any(token != unknown for row in rows for token in row)


def _check_stored_files(name: str, path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that reads files which are not hashed and stored with the model."""
    stored = {file.name for file in base_files(path)}
    unstored = sorted({str(file) for file in tokenizer.vocab_files_names.values() if (path / str(file)).is_file()} - stored)
    if unstored and "tokenizer.json" not in stored:
        raise InputError(
            f"model.base {name}: its tokenizer reads {', '.join(unstored)}, which is not stored with a model: load and save it by "
            "transformers' AutoTokenizer, which writes a tokenizer.json"
        )


def _check_end_token(name: str, tokenizer: PreTrainedTokenizerBase, problem: Problem) -> None:
    if tokenizer.eos_token_id is None and problem.needs_end_token:
        raise InputError(
            f"model.base {name}: its tokenizer has no end token, so a model could not learn where an answer ends: name one as "
            "eos_token in tokenizer_config.json"
        )
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is None:
        raise InputError(
            f"model.base {name}: its tokenizer has neither a padding nor an end token: add one to tokenizer_config.json"
        )
