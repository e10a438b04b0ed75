"""The problems, and the light facts about each that text, report and serving read: so nobody else asks for one by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProblemName = Literal["text-classification", "text-generation"]


@dataclass(frozen=True)
class Metric:
    """A metric's name, the unit that it is shown in, and whether more of it is better."""

    name: str
    unit: Literal["share", "number"]
    higher_is_better: bool


@dataclass(frozen=True)
class ProblemFacts:
    """What a problem reads and says.

    `target` is what a row has to be answered with: one label of a fixed set, or a text. `metrics` are those that pages show, by
    name; the gate's comes first. `life_metric` is the one that a model's history draws. `feedback` is how a person corrects
    an answer, `examples` are two texts to ask.
    """

    target: Literal["label", "text"]
    metrics: tuple[str, ...]
    life_metric: Metric
    feedback: Literal["label", "correction"]
    examples: tuple[str, str]

    @property
    def has_labels(self) -> bool:
        """Whether targets are of a fixed set: there are classes to count, to guard and to weigh."""
        return self.target == "label"

    @property
    def writes_text(self) -> bool:
        """Whether answers are texts: they are decoded, redacted, and corrected by other texts."""
        return self.target == "text"


FACTS: dict[ProblemName, ProblemFacts] = {
    "text-classification": ProblemFacts(
        target="label",
        metrics=("accuracy", "f1_macro", "log_loss", "expected_calibration_error"),
        life_metric=Metric("accuracy", "share", True),
        feedback="label",
        examples=("Where is my refund?", "I cannot log in any more"),
    ),
    "text-generation": ProblemFacts(
        target="text",
        metrics=("nll_per_token", "perplexity", "exact_match", "rouge_l"),
        life_metric=Metric("perplexity", "number", False),
        feedback="correction",
        examples=("Question: 3 + 4 = ?\nAnswer:", "Question: 5 + 2 = ?\nAnswer:"),
    ),
}


def facts_of(problem: ProblemName) -> ProblemFacts:
    """The facts about a problem."""
    return FACTS[problem]
