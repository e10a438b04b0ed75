"""The problems, and the light facts about each that text, report and serving read: so nobody else asks for one by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProblemName = Literal["text-classification", "text-generation"]


@dataclass(frozen=True)
class ProblemFacts:
    """What a problem reads and says.

    `target` is what a row has to be answered with: one label of a fixed set, or a text. `has_confidence` says whether an answer
    comes with a probability that it is right.
    """

    target: Literal["label", "text"]
    has_confidence: bool

    @property
    def has_labels(self) -> bool:
        """Whether targets are of a fixed set: there are classes to count, to guard and to weigh."""
        return self.target == "label"

    @property
    def writes_text(self) -> bool:
        """Whether answers are texts: they are decoded, redacted, and corrected by other texts."""
        return self.target == "text"


FACTS: dict[ProblemName, ProblemFacts] = {
    "text-classification": ProblemFacts(target="label", has_confidence=True),
    "text-generation": ProblemFacts(target="text", has_confidence=False),
}


def facts_of(problem: ProblemName) -> ProblemFacts:
    """The facts about a problem."""
    return FACTS[problem]
