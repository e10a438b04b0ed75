"""Input and output of the monitors: samples of rows in, findings out, both plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from tasks.drift.distinct_texts import DistinctTexts, texts_of
from tasks.drift.statistics import JudgedChange
from tasks.stats.arrays import Codes, Floats

Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]

MONITORS = (
    "inputs.topics",
    "inputs.mean",
    "inputs.length",
    "inputs.language",
    "inputs.vocabulary",
    "inputs.missing",
    "inputs.duplicates",
    "predictions.classes",
    "predictions.labels",
    "predictions.number",
    "predictions.no_answer",
    "predictions.answer_length",
    "predictions.confidence",
    "predictions.calibration",
    "performance.accuracy",
    "performance.error",
    "performance.language_accuracy",
    "performance.language_error",
    "performance.estimate",
)


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a reference or of a window, duplicates included; every array has shape (n,) but `embeddings`, which is (n, d).

    `texts`: a number per row, equal where the text is, *across both samples too* (`text_codes`). `embeddings`: of the untuned base;
    a row of NaN was not embedded and is left out. `numbers`: "length", "vocabulary" (the share of a row's words that training did
    not know), "answer" where answers are numbers, and "answer_length" (words) where they stand in the text; NaN is left out.
    `categories`: "language", and "answer" (whether any was found). `flags`: "missing". `labels`: of answers that are sets of
    labels, label -> whether it was answered; one that is absent never was. `languages`: of each text, "" where it is too short to
    tell; None where no language is judged by itself. `correct`: 1 or 0, or a score between, NaN where
    unknown; `error`: of an answer that is a number, how far it was off, NaN where unknown. `audit_probability`: with which a row
    was drawn to be labelled; a label without one is no audit, and not counted.
    In a reference None means that every known label counts alike.
    """

    texts: Codes
    embeddings: NDArray[np.float32] | None = None
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    categories: Mapping[str, Strings] = field(default_factory=dict)
    flags: Mapping[str, Bools] = field(default_factory=dict)
    confidence: Floats | None = None
    prediction: Strings | None = None
    labels: Mapping[str, Bools] | None = None
    languages: Strings | None = None
    correct: Floats | None = None
    error: Floats | None = None
    audit_probability: Floats | None = None

    @property
    def n(self) -> int:
        return len(self.texts)

    def rows(self, chosen: Codes) -> Sample:
        """A sample of some of the rows."""

        def select(values: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
            return None if values is None else values[chosen]

        return Sample(
            texts=self.texts[chosen],
            embeddings=select(self.embeddings),  # type: ignore[arg-type]
            numbers={name: values[chosen] for name, values in self.numbers.items()},
            categories={name: values[chosen] for name, values in self.categories.items()},
            flags={name: values[chosen] for name, values in self.flags.items()},
            confidence=select(self.confidence),  # type: ignore[arg-type]
            prediction=select(self.prediction),  # type: ignore[arg-type]
            labels=None if self.labels is None else {name: values[chosen] for name, values in self.labels.items()},
            languages=select(self.languages),  # type: ignore[arg-type]
            correct=select(self.correct),  # type: ignore[arg-type]
            error=select(self.error),  # type: ignore[arg-type]
            audit_probability=select(self.audit_probability),  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Finding:
    """What one monitor found at one look.

    `effect`, in the unit of `minimum`; `low`, `high`: its band at `alpha`, so that all bands of a champion's year hold the truth
    together but for the year's alpha on either side; `p`: of 'the effect is at most the minimum', or of 'nothing differs' where
    that is larger; `alarm`: p is at most `alpha`. NaN where it was not judged, and `note` says why.
    """

    monitor: str
    effect: float
    low: float
    high: float
    minimum: float
    p: float
    alpha: float
    alarm: bool
    n_reference: int
    n_window: int
    note: str

    @property
    def judged(self) -> bool:
        return not isnan(self.p)

    def plain(self) -> dict[str, object]:
        """Its fields for JSON, which has no NaN: None instead."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class MonitorQuestion:
    """One monitor's question: what it may spend, and the least effect worth an alarm; `whole` are the texts of all rows."""

    monitor: str
    minimum: float
    alpha: float
    seed: int
    whole: DistinctTexts

    def texts(self, reference: Codes, window: Codes) -> DistinctTexts:
        """The texts of some of the rows, by their codes; where those are all, the ones whose rearrangements are shared."""
        every = len(reference) == len(self.whole.of_reference) and len(window) == len(self.whole.of_window)
        return self.whole if every else texts_of(reference, window)

    def found(self, tested: JudgedChange, difference_p: float, rows: tuple[int, int], note: str = "") -> Finding:
        """The finding of two tests; an alarm needs both: that anything differs, and that it differs by more than the minimum."""
        p = max(tested.p, difference_p)
        if p > self.alpha >= tested.p:
            note = "; ".join([*([note] if note else []), "not shown to differ at all when texts are rearranged at random"])
        return Finding(
            monitor=self.monitor,
            effect=tested.effect,
            low=min(tested.low, tested.effect),
            high=max(tested.high, tested.effect),
            minimum=self.minimum,
            p=p,
            alpha=self.alpha,
            alarm=p <= self.alpha,
            n_reference=rows[0],
            n_window=rows[1],
            note=note,
        )

    def silent(self, reason: str, rows: tuple[int, int] = (0, 0)) -> Finding:
        """A finding that is not judged, with the reason."""
        nan = float("nan")
        return Finding(self.monitor, nan, nan, nan, self.minimum, nan, self.alpha, False, *rows, note=f"not judged: {reason}")
