"""Rows whose answers are good or bad by themselves: their column as it is read, and what a candidate of such rows must have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, QUARANTINED
from tasks.data.preparation.split import SPLITS, TEST, TRAIN
from tasks.data.redaction.placeholders import network_view
from tasks.data.thumbs import DOWN, UP

if TYPE_CHECKING:
    import pandas as pd

CONTRADICTED = "the same answer to the same prompt has a thumb up and a thumb down"


def check_thumbs(candidate: Candidate, fate: NDArray[np.uint8], reasons: dict[int, str]) -> None:
    """Set aside answers that contradict one another; InputError where train or test then has thumbs of one kind alone.

    From answers of one kind nothing can be told apart: neither what to write and what not, nor which of two models knows better.
    """
    places = np.flatnonzero(fate == KEPT)
    rows = take_rows(candidate.rows, places, ["text", "target", "thumb"]).to_pandas()
    contradicted = places[_contradicts(rows)]
    fate[contradicted] = QUARANTINED
    reasons |= dict.fromkeys(contradicted.tolist(), CONTRADICTED)
    rows = rows.assign(split=candidate.split[places])[fate[places] == KEPT]
    for split in (TRAIN, TEST):
        kinds = rows.loc[rows["split"] == split, "thumb"].value_counts()
        if len(kinds) == 1:
            other = DOWN if kinds.index[0] == UP else UP
            raise InputError(
                f"data.thumb: all {kinds.iloc[0]:,} {SPLITS[split]} rows have a thumb {kinds.index[0]}, and what is good is "
                f"learned and measured beside what is bad: add answers with a thumb {other}, or take another objective"
            )


def _contradicts(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows have a prompt and an answer that stand elsewhere with the other thumb."""
    keys = rows.assign(**{name: network_view(rows[name].tolist()) for name in ("text", "target")})
    kinds = keys.groupby(["text", "target"], sort=False)["thumb"].transform("nunique")
    return (kinds > 1).to_numpy()
