"""The problems, and the facts about each that text, report and serving read: only its own code asks for a problem by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProblemName = Literal[
    "text-classification", "multi-label-classification", "text-regression", "text-generation", "text2text-generation"
]


@dataclass(frozen=True)
class Metric:
    """A metric's name, what people read for it, the unit that it is shown in, and whether more of it is better."""

    name: str
    title: str
    unit: Literal["share", "number"]
    higher_is_better: bool


ACCURACY = Metric("accuracy", "accuracy", "share", True)
PERPLEXITY = Metric("perplexity", "perplexity", "number", False)
NLL = Metric("nll_per_token", "NLL per token, over all tokens", "number", False)
EXACT_MATCH = Metric("exact_match", "exact match", "share", True)
NLL_OF_ROWS = Metric("nll_per_token_row_mean", "NLL per token, mean of rows", "number", False)
LIKELIHOOD = "log-likelihood per token, mean of rows"
ROUGE_L = Metric("rouge_l", "ROUGE-L", "share", True)
F1_ROWS = Metric("f1_rows", "F1 of rows", "share", True)
MAE = Metric("mae", "mean absolute error", "number", False)


TARGET_COLUMNS: dict[str, Literal["label", "labels", "number", "completion"]] = {
    "label": "label",
    "labels": "labels",
    "number": "number",
    "text": "completion",
}


@dataclass(frozen=True)
class ProblemFacts:
    """What a problem reads and says.

    `target` is what a row has to be answered with: one label of a fixed set, any number of them, a number, or a text. `metrics` are
    those that pages show. `primary` is the mean of what the gate compares of rows, which `compared` says in words. `life_metric` is
    the one that a model's history draws. `feedback` is how a person corrects an answer, `examples` are two texts to ask.
    `reads_pairs`: it may read two texts beside one another. `pairs_tokenizers`: targets may have a tokenizer of their own.
    `continues_text`: answers go on where what was read ends.
    """

    target: Literal["label", "labels", "number", "text"]
    metrics: tuple[Metric, ...]
    primary: Metric
    compared: str
    life_metric: Metric
    feedback: Literal["label", "correction"]
    examples: tuple[str, str]
    reads_pairs: bool = False
    pairs_tokenizers: bool = False
    continues_text: bool = False

    @property
    def has_labels(self) -> bool:
        """Whether targets are labels of a fixed set: there is a vocabulary to hold them against."""
        return self.target in ("label", "labels")

    @property
    def has_classes(self) -> bool:
        """Whether each target is one label: there are classes to guard and to weigh, and a confidence to calibrate."""
        return self.target == "label"

    @property
    def has_label_sets(self) -> bool:
        """Whether each target is a set of labels (tasks/data/label_sets.py)."""
        return self.target == "labels"

    @property
    def is_number(self) -> bool:
        """Whether targets are numbers: scores, margins and effects are in their unit."""
        return self.target == "number"

    @property
    def input_column(self) -> Literal["text", "prompt"]:
        """The setting under `data` that names the column that is read."""
        return "prompt" if self.writes_text else "text"

    @property
    def target_column(self) -> Literal["label", "labels", "number", "completion"]:
        """The setting under `data` that names the column of targets."""
        return TARGET_COLUMNS[self.target]

    @property
    def writes_text(self) -> bool:
        """Whether answers are texts: they are decoded, redacted, and corrected by other texts."""
        return self.target == "text"


FACTS: dict[ProblemName, ProblemFacts] = {
    "text-classification": ProblemFacts(
        target="label",
        metrics=(
            ACCURACY,
            Metric("f1_macro", "F1 macro", "share", True),
            Metric("log_loss", "log loss", "number", False),
            Metric("expected_calibration_error", "calibration error", "share", False),
        ),
        primary=ACCURACY,
        compared=ACCURACY.title,
        life_metric=ACCURACY,
        feedback="label",
        examples=("Where is my refund?", "I cannot log in any more"),
        reads_pairs=True,
    ),
    "multi-label-classification": ProblemFacts(
        target="labels",
        metrics=(
            F1_ROWS,
            Metric("subset_accuracy", "whole sets right", "share", True),
            Metric("f1_micro", "F1 micro", "share", True),
            Metric("f1_macro", "F1 macro", "share", True),
        ),
        primary=F1_ROWS,
        compared="F1 of each row's labels",
        life_metric=F1_ROWS,
        feedback="label",
        examples=("The invoice is wrong and I cannot log in", "Where is my refund?"),
        reads_pairs=True,
    ),
    "text-regression": ProblemFacts(
        target="number",
        metrics=(
            MAE,
            Metric("rmse", "root mean squared error", "number", False),
            Metric("r2", "R squared", "number", True),
            Metric("rank_correlation", "rank correlation", "number", True),
        ),
        primary=MAE,
        compared=MAE.title,
        life_metric=MAE,
        feedback="label",
        examples=("The parcel came two days late and the box was open.", "All as promised."),
        reads_pairs=True,
    ),
    "text-generation": ProblemFacts(
        target="text",
        metrics=(NLL, PERPLEXITY, EXACT_MATCH, ROUGE_L),
        primary=NLL_OF_ROWS,
        compared=LIKELIHOOD,
        life_metric=PERPLEXITY,
        feedback="correction",
        examples=("Question: 3 + 4 = ?\nAnswer:", "Question: 5 + 2 = ?\nAnswer:"),
        continues_text=True,
    ),
    "text2text-generation": ProblemFacts(
        target="text",
        metrics=(NLL, PERPLEXITY, EXACT_MATCH, Metric("chrf", "chrF", "share", True), ROUGE_L),
        primary=NLL_OF_ROWS,
        compared=LIKELIHOOD,
        life_metric=PERPLEXITY,
        feedback="correction",
        examples=("The meeting is moved to Thursday at nine.", "The parcel was left with a neighbour."),
        pairs_tokenizers=True,
    ),
}
# Other names for a problem, each with defaults of its own for what a config leaves out.
ALIASES: dict[str, tuple[ProblemName, dict[str, dict[str, object]]]] = {
    "summarization": (
        "text2text-generation",
        {
            "data": {"prompt": "document", "completion": "summary"},
            "model": {"max_length": 512},
            "evaluation": {"max_new_tokens": 128},
        },
    ),
}


def without_alias(config: dict[str, object]) -> dict[str, object]:
    """A config with the problem that an alias stands for, and the alias' defaults for the settings that it leaves out.

    A text-classification with `data.labels` has many labels a text.
    """
    data = config.get("data")
    if config.get("problem") == "text-classification" and isinstance(data, dict) and data.get("labels") is not None:
        return {**config, "problem": "multi-label-classification"}
    alias = ALIASES.get(str(config.get("problem")))
    if alias is None:
        return config
    problem, defaults = alias
    filled = dict(config)
    for section, values in defaults.items():
        own = config.get(section, {})
        filled[section] = {**values, **own} if isinstance(own, dict) else own
    return {**filled, "problem": problem}


def facts_of(problem: ProblemName) -> ProblemFacts:
    """The facts about a problem."""
    return FACTS[problem]
