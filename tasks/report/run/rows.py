"""What a report says of classes, slices and single test rows, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["share", "number"]
"""A share is shown in per cent and its differences in points; a number is shown as it is."""


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: `recall` is drawn, with [low, high] its interval, because the class guard judges recall."""

    name: str
    n: int
    recall: float | None
    precision: float | None = None
    f1: float | None = None
    low: float | None = None
    high: float | None = None
    champion: float | None = None


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """The primary metric on the rows where `column` has the value `name`."""

    column: str
    name: str
    n: int
    value: float | None
    low: float | None = None
    high: float | None = None
    champion: float | None = None
    outcome: str = ""
    unit: Unit = "share"


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """counts[i][j]: rows of class labels[i] that were predicted as labels[j]."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Rows whose confidence lies in [low, high): their mean confidence, and their accuracy with its interval."""

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    bins: tuple[CalibrationBin, ...]
    ece: float | None
    champion_ece: float | None = None


@dataclass(frozen=True, kw_only=True)
class WorstError:
    """A wrong prediction. `text` is the redacted text of the snapshot: the raw one never comes here."""

    id: str
    text: str
    target: str
    prediction: str
    confidence: float | None


@dataclass(frozen=True, kw_only=True)
class Misranked:
    """A text whose first right partner has a `rank` of its own, from 1, and what stands first before it; empty where that is right.

    All are texts of the snapshot, redacted.
    """

    id: str
    text: str
    rank: int
    right: str
    before: str


@dataclass(frozen=True, kw_only=True)
class Generation:
    """An answer. `log_likelihood`: of the reference, the mean of its tokens in nats; the worst answers are chosen by it."""

    id: str
    prompt: str
    reference: str
    output: str
    rouge_l: float | None = None
    exact_match: bool | None = None
    scores: dict[str, float] = field(default_factory=dict)  # shares, by metric; reports of earlier versions have rouge_l alone
    log_likelihood: float | None = None


@dataclass(frozen=True, kw_only=True)
class JudgeSummary:
    """What a judge, a model or people, said of pairs of answers. `agreement` is the share of people's judgements that it shares,

    `agreement_low` its lower bound, which was held against `minimum`; `note` says why the judge counts for less than was asked.
    """

    name: str
    opponent: str
    pairs: int
    wins: int
    losses: int
    ties: int
    turned: int
    unreadable: int
    win_rate: float | None
    counts_as: str
    people: int | None = None
    agreement: float | None = None
    agreement_low: float | None = None
    kappa: float | None = None
    minimum: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ScorerRow:
    """The mean of a scorer of the user's own, of the challenger and of the champion."""

    name: str
    value: float
    champion: float | None = None


@dataclass(frozen=True, kw_only=True)
class SpanEnd:
    """A span that ends behind a piece of a text: whether it was found, missed, or answered where none is, and its label."""

    mark: Literal["right", "missed", "wrong"]
    label: str


@dataclass(frozen=True, kw_only=True)
class SpanPiece:
    """A piece of a text: in a span of the truth (`wanted`), in one of the answer (`answered`), in both or in none."""

    text: str
    wanted: bool = False
    answered: bool = False
    right: bool = False
    ends: tuple[SpanEnd, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SpanExample:
    """A text with its spans, in pieces. It is the redacted text of the snapshot: the raw one never comes here."""

    id: str
    f1: float
    pieces: tuple[SpanPiece, ...]


@dataclass(frozen=True, kw_only=True)
class SpanReport:
    """Each type of span (`n`: spans of the truth), and the texts that are answered worst."""

    types: tuple[ClassRow, ...]
    examples: tuple[SpanExample, ...]


@dataclass(frozen=True, kw_only=True)
class NumberError:
    """A prediction that is far off. `text` is the redacted text of the snapshot: the raw one never comes here."""

    id: str
    text: str
    target: float
    prediction: float


@dataclass(frozen=True, kw_only=True)
class NumberFit:
    """Predictions beside targets, in their unit: `points` are (target, prediction) of test rows, of many a part; `worst` errors."""

    points: tuple[tuple[float, float], ...]
    worst: tuple[NumberError, ...]


@dataclass(frozen=True, kw_only=True)
class ContextPiece:
    """A stretch of a context, and whether it is of the right answer, of the one that was given, or of both."""

    text: str
    right: bool = False
    given: bool = False


@dataclass(frozen=True, kw_only=True)
class AnswerExample:
    """An answer that is not right; an empty `right` or `given` is no answer. `pieces`: the context, redacted, around them."""

    id: str
    question: str
    pieces: tuple[ContextPiece, ...]
    right: tuple[str, ...]
    given: str
    f1: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class AnswerGroup:
    """Test rows with an answer, or without: how many were answered, and the means of their scores."""

    name: str
    n: int
    answered: int
    f1: float
    exact_match: float


@dataclass(frozen=True, kw_only=True)
class AnswerFit:
    """Answers that stand in a text: with and without one, and the worst."""

    groups: tuple[AnswerGroup, ...]
    worst: tuple[AnswerExample, ...]
