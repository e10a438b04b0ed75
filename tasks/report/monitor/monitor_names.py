"""What each monitor watches, in words and units. A monitor that is not listed is shown under its own name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tasks.report.draw import formats

Unit = Literal["share", "deviation", "number"]
GROUPS = ("inputs", "predictions", "performance")


@dataclass(frozen=True)
class MonitorKind:
    """`says` tells what the effect measures, `unit` in what, its minimum too; `sides` is 1 where only growth matters."""

    name: str
    title: str
    unit: Unit
    says: str
    sides: int = 2

    @property
    def group(self) -> str:
        return self.name.split(".", 1)[0]


KNOWN = (
    MonitorKind("inputs.topics", "Topics", "deviation", "how far the texts moved as a whole, by their embeddings", 1),
    MonitorKind("inputs.mean", "Average meaning", "deviation", "how far the average text moved, by its embedding", 1),
    MonitorKind("inputs.vocabulary", "Vocabulary", "share", "more or fewer words that training did not know"),
    MonitorKind("inputs.length", "Length", "deviation", "how much longer or shorter texts are"),
    MonitorKind("inputs.language", "Languages", "share", "largest change of a language's share", 1),
    MonitorKind("inputs.duplicates", "Duplicates", "share", "more or fewer texts that repeat another"),
    MonitorKind("inputs.missing", "Missing texts", "share", "more or fewer empty texts"),
    MonitorKind("predictions.classes", "Predicted classes", "share", "largest change of a class's share", 1),
    MonitorKind("predictions.labels", "Predicted labels", "share", "largest change in how many answers hold a label"),
    MonitorKind("predictions.no_answer", "Questions without an answer", "share", "more or fewer questions that get none", 1),
    MonitorKind("predictions.answer_length", "Length of answers", "deviation", "how much longer or shorter answers are"),
    MonitorKind("predictions.number", "Predicted number", "deviation", "how much larger or smaller the answers are"),
    MonitorKind("predictions.confidence", "Confidence", "deviation", "how much surer or less sure the model is"),
    MonitorKind("predictions.calibration", "Calibration", "share", "wrong more (or less) often than its confidence used to mean"),
    MonitorKind("performance.accuracy", "Accuracy on labels", "share", "loss against the reference, on audited answers", 1),
    MonitorKind("performance.error", "Error on labels", "deviation", "how much further off, on audited answers", 1),
    MonitorKind("performance.language_accuracy", "Accuracy by language", "share", "loss in one language, on audited answers", 1),
    MonitorKind("performance.language_error", "Error by language", "deviation", "how much further off in one language", 1),
    MonitorKind("performance.estimate", "Estimated accuracy", "share", "loss foretold by the model's confidence, before labels", 1),
)
BY_NAME = {kind.name: kind for kind in KNOWN}
ORDER = {kind.name: n for n, kind in enumerate(KNOWN)}


def monitor_of(name: str) -> MonitorKind:
    """The monitor of that name; one that this version does not know by its own name, as a plain number."""
    title = formats.first_upper(formats.plain_name(name.split(".", 1)[-1]))
    return BY_NAME.get(name) or MonitorKind(name, title, "number", "")


def in_order(names: set[str]) -> list[str]:
    """Known monitors as a reader expects them, others by name under their group."""

    def place(name: str) -> tuple[int, int, str]:
        group = name.split(".", 1)[0]
        return GROUPS.index(group) if group in GROUPS else len(GROUPS), ORDER.get(name, len(ORDER)), name

    return sorted(names, key=place)


def effect_text(value: float | None, unit: Unit, signed: bool = False) -> str:
    """An effect: 12.3 points, 0.24 SD, or the number."""
    if value is None or not math.isfinite(value):
        return formats.ABSENT
    name = {"share": f"{formats.THIN}points", "deviation": f"{formats.THIN}SD", "number": ""}[unit]
    return f"{effect_number(value, unit, signed)}{name}"


def effect_number(value: float | None, unit: Unit, signed: bool = False) -> str:
    """An effect without its unit."""
    if value is None or not math.isfinite(value):
        return formats.ABSENT
    sign = "+" if signed and value > 0 else ""
    text = f"{100 * value:.1f}" if unit == "share" else f"{value:.2f}"
    return sign + (text[1:] if float(text) == 0 and text.startswith("-") else text).replace("-", formats.MINUS)
