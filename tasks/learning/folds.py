"""Chooses epoch and temperature, where few rows are held out, by cross-validation on the training rows too.

Thirty held-out rows tell the epochs of a training apart by luck. So each third of the training rows is answered, epoch by epoch, by
a network that was trained on the other two; the losses of all of them, and of the held-out rows under the network that is kept,
choose its epoch and its temperature. That takes three times as long, for few rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.schema import Training
from tasks.common.files import atomic_folder, is_valid, replaced_file

FEW_HELD_OUT = 100  # rows; from here on they choose alone
MOST_ROWS = 1_000  # of training: with more of them it takes too long, and the few held-out rows are the user's choice
FOLDS = 3
ANSWERS = "answers.npz"


@dataclass(frozen=True)
class FoldAnswers:
    """`logits` (epochs, n, classes) of training rows by networks that did not learn from them, their `targets` (n,), the time."""

    logits: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    seconds: float

    def with_held_out(
        self, epoch: int, logits: npt.ArrayLike, targets: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Logits and targets of these rows and the held-out ones, after an epoch, from 1."""
        return np.concatenate([np.asarray(logits), self.logits[epoch - 1]]), np.concatenate([np.asarray(targets), self.targets])


def folds_of(training: Training, rows: pd.DataFrame, held_out: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """(rows to train on, rows to answer) of each fold, where how long to train is left open and few rows are held out; else none.

    Classes are spread evenly, groups stay whole, and no row is answered by a network that does not know its class.
    """
    open_end = training.epochs is None and training.early_stopping is None and training.start == "base"
    if not open_end or not 0 < len(held_out) < FEW_HELD_OUT or len(rows) > MOST_ROWS:
        return []
    groups = rows["group"] if "group" in rows and rows["group"].notna().all() else pd.Series(range(len(rows)))
    if groups.nunique() < 2 * FOLDS or rows["target"].value_counts().max() < FOLDS:
        return []
    fold_of = _fold_numbers(rows["target"].to_numpy(), groups.to_numpy(), training.seed)
    pairs = []
    for number in range(FOLDS):
        fitted, held_back = rows[fold_of != number], rows[fold_of == number]
        held_back = held_back[held_back["target"].isin(set(fitted["target"]))]
        if held_back.empty or fitted["target"].nunique() < 2:
            return []
        pairs.append((fitted.reset_index(drop=True), held_back.reset_index(drop=True)))
    return pairs


def _fold_numbers(targets: npt.NDArray[np.generic], groups: npt.NDArray[np.generic], seed: int) -> npt.NDArray[np.int64]:
    from sklearn.model_selection import StratifiedGroupKFold

    fold_of = np.empty(len(targets), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of fewer rows than folds is answered where it can be
        splits = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(targets, targets, groups)
        for number, (_, places) in enumerate(splits):
            fold_of[places] = number
    return fold_of


def note_epoch(folder: Path, epoch: int, logits: npt.ArrayLike, targets: npt.ArrayLike) -> None:
    """Write the answers of a fold's network after an epoch, whole or not at all."""
    with replaced_file(folder / f"{epoch:03}.npz") as aside, aside.open("wb") as out:
        np.savez(out, logits=np.asarray(logits, dtype=np.float32), targets=np.asarray(targets, dtype=np.int64))


def gather_epochs(folder: Path, seconds: float) -> FoldAnswers:
    """The answers of a fold's network after each of its epochs."""
    epochs = [np.load(file, allow_pickle=False) for file in sorted(folder.glob("*.npz"))]
    return FoldAnswers(np.stack([epoch["logits"] for epoch in epochs]), epochs[0]["targets"], seconds)


def save_answers(folder: Path, answers: FoldAnswers) -> None:
    """Write a fold's answers, whole or not at all."""
    with atomic_folder(folder) as aside:
        np.savez(aside / ANSWERS, logits=answers.logits, targets=answers.targets, seconds=np.float64(answers.seconds))


def load_answers(folder: Path) -> FoldAnswers | None:
    """A fold's stored answers; None where they are absent or damaged."""
    if is_valid(folder, frozenset({ANSWERS})) is not None:
        return None
    with np.load(folder / ANSWERS, allow_pickle=False) as arrays:
        return FoldAnswers(arrays["logits"], arrays["targets"], float(arrays["seconds"]))


def pool_answers(folds: Sequence[FoldAnswers]) -> FoldAnswers:
    """The answers of all folds as one."""
    logits = np.concatenate([fold.logits for fold in folds], axis=1)
    return FoldAnswers(logits, np.concatenate([fold.targets for fold in folds]), sum(fold.seconds for fold in folds))
