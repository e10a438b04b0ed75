"""Inputs of a model as the cells of a frame, as callers of the stored model send them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.data.messages import read_question
from tasks.data.text_parts import join_parts, split_parts
from tasks.data.turns import is_conversation, turns_of

if TYPE_CHECKING:
    import pandas as pd


def input_frame(texts: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Inputs under the names of their columns: a text, two beside one another, or a conversation as a list of messages."""
    import pandas as pd

    whole = len(columns) == 1  # else what looks like a conversation is a pair whose first text is the name of a role
    cells = [
        [[turn._asdict() for turn in turns_of(text)]] if whole and is_conversation(text) else split_parts(text) for text in texts
    ]
    return pd.DataFrame(cells, columns=list(columns))


def inputs_of(frame: pd.DataFrame, *, messages: bool) -> list[str]:
    """The inputs in the first column of a frame, or in its first two; with `messages` its first holds conversations.

    InputError that names the row of a cell that is no conversation, or ends in no question.
    """
    if not messages:
        return [join_parts(map(str, parts)) for parts in zip(*(frame[name].tolist() for name in frame.columns[:2]), strict=True)]
    inputs = []
    for place, cell in enumerate(frame[frame.columns[0]].tolist()):
        try:
            inputs.append(read_question(cell))
        except ValueError as error:
            raise InputError(f"row {place + 1}: its `{frame.columns[0]}` {error}") from None
        if not inputs[-1]:
            raise InputError(f"row {place + 1}: its `{frame.columns[0]}` is empty")
    return inputs
