"""Detects a training that has gone wrong for good: its loss has climbed back, or the network answers one class to every text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEARNED = 0.8  # of the untrained loss: a training whose loss was below this had learned something that it can lose
LOST = 0.5  # of what was learned: a loss that stays beyond this much has climbed back
WORSE = 1.25  # times the untrained loss, from half the training on: worse than having learned nothing
UNTRAINED = 0.9  # of the untrained loss: a network that answers one class has learned nothing if its loss is no lower
STRETCH = 0.1  # of all entries of the log are looked at together: a loss has to stay up for so long
LEAST = 6  # entries, at the least
CLEAR = 8.0  # standard errors of a stretch's median: a rise that is no larger may be the luck of its batches
ASKED_FROM = 25  # steps: with fewer the network is not checked yet
SELDOM = 0.1  # of their rate: a network that names all but the commonest class less often than that hardly names them
SEEN = 3  # held-out rows of rare classes, at the least, by which to tell
SAMPLE = 64  # training rows on which to check that a network still tells classes apart


class CollapsedError(Exception):
    """A training went wrong for good at `step`; `reason` says how, `history` is what was logged up to there."""

    def __init__(self, reason: str, step: int, history: Sequence[dict[str, float]] = ()) -> None:
        super().__init__(reason)
        self.reason, self.step, self.history = reason, step, tuple(history)


def constant_loss(
    targets: Sequence[int], classes: int, smoothing: float, weights: Sequence[float] | None, focal_gamma: float = 0.0
) -> float:
    """The lowest cross-entropy, in nats, of an answer that is the same for every row; weighted and smoothed as training is.

    Of a focal loss it is that of the classes' shares, whose lowest is hardly less.

    `targets` are class codes of the rows, shape (n,); `weights` one weight a class with a mean of 1 over the rows, or None.
    """
    counts = np.bincount(np.asarray(targets), minlength=classes) * (np.ones(classes) if weights is None else np.asarray(weights))
    shares = (1 - smoothing) * counts / counts.sum() + smoothing / classes
    known = shares[shares > 0]
    return float(-np.sum(known * (1 - known) ** focal_gamma * np.log(known)))


def entries_compared(entries: int) -> int:
    """How many entries of a log that will have `entries` are looked at together."""
    return max(LEAST, round(STRETCH * entries))


def climbed_back(losses: Sequence[float], entries: int, untrained: float | None) -> str | None:
    """How a training loss has climbed back for good, or None; of `entries` losses that will be logged, those so far.

    For good: the median of the last tenth of the training lies above the middle between the lowest such median and the `untrained`
    loss (None: the median of the first tenth), by more than the luck of batches explains; or, from half the training on, above 1.25
    times the untrained loss. A spike that falls again is no matter.
    """
    width = entries_compared(entries)
    if len(losses) < 2 * width:
        return None
    values = np.asarray(losses, dtype=np.float64)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    lowest, last = float(medians.min()), float(medians[-1])
    start = untrained if untrained is not None else float(medians[0])
    deviation = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2)  # of one loss, robust, whatever the trend
    luck = np.sqrt(np.pi / 2) * deviation / np.sqrt(width)  # the standard error of a median
    if lowest <= LEARNED * start and last >= max(lowest + LOST * (start - lowest), lowest + CLEAR * luck):
        return f"the loss had fallen to {lowest:.3g} and climbed back to {last:.3g}"
    if last >= max(WORSE * start, start + CLEAR * luck) and len(losses) >= entries / 2:
        return f"the loss stays at {last:.3g}, where an answer without any training has {start:.3g}"
    return None


def learned_nothing(losses: Sequence[float], entries: int, untrained: float) -> bool:
    """Whether the last tenth of the losses is, on average, about that of an answer without any training."""
    return len(losses) > 0 and float(np.mean(losses[-entries_compared(entries) :])) >= UNTRAINED * untrained


def sample_rows(targets: Sequence[int]) -> npt.NDArray[np.int64]:
    """Places of at most SAMPLE rows, as many of one class as of another as far as they go; the same for the same rows."""
    codes = np.asarray(targets)
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(codes[order])) + 1])
    turn = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    return np.sort(order[np.lexsort((codes[order], turn))[:SAMPLE]])


def answers_one_class(predictions: Sequence[int], targets: Sequence[int]) -> bool:
    """Whether all predictions are one class where the targets are several."""
    return len(set(predictions)) == 1 and len(set(targets)) > 1


def hardly_varies(predictions: Sequence[int], targets: Sequence[int]) -> bool:
    """Whether nearly all predictions are one class where the targets are several.

    Other classes than the commonest are named at less than SELDOM of their rate; with fewer than SEEN rows of them it is False.
    """
    predicted, actual = (len(codes) - int(np.bincount(np.asarray(codes)).max()) for codes in (predictions, targets))
    return actual >= SEEN and predicted < SELDOM * actual
