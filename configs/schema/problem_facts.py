"""The names of problems, and what is known about each that text, report and serving read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from configs.schema.metrics import Metric

ProblemName = Literal[
    "text-classification", "multi-label-classification", "text-regression", "token-classification", "question-answering",
    "text-ranking", "sentence-similarity", "text-retrieval", "text-generation", "text2text-generation",
    "summarization", "translation",
]  # fmt: skip
TargetColumn = Literal["label", "labels", "spans", "number", "answers", "completion"]
InputColumn = Literal["text", "prompt", "question", "context", "text_pair"]
TARGET_COLUMNS: dict[str, TargetColumn] = {
    "label": "label",
    "labels": "labels",
    "spans": "spans",
    "number": "number",
    "answer": "answers",
    "text": "completion",
}


@dataclass(frozen=True)
class ProblemFacts:
    """What a problem reads and says.

    `target` is what a row has to be answered with: one label of a fixed set, any number of them, any number of spans of the text
    with a label each, a number, an answer that stands in what is read, or a text. `metrics` are those that pages show. `primary`
    is the mean of what the gate compares of rows, which `compared` says in words. `life_metric` is the one that a model's history
    draws. `feedback` is how a person corrects an answer, `examples` are two texts to ask. `reads_pairs`: it may read two texts
    beside one another. `reads_messages`: it may read conversations. `ranks`: it always does, the first is a query and the second
    what is ranked for it, by numbers of 0 or more; the rows of a query are one group where the config names no other, and have one
    score. `embeds`: each text has a vector, and a pair is answered by how alike its two are. `pairs_belong`: every row is a pair
    that belongs together, so that no column holds targets. `pairs_tokenizers`: targets may have a tokenizer and a language of
    their own. `continues_text`: answers go on where what was read ends. `family` is the problem whose rows, contract and networks
    these are, where another's are: the two differ in their defaults and in how texts are scored.
    """

    target: Literal["label", "labels", "spans", "number", "answer", "text"]
    metrics: tuple[Metric, ...]
    primary: Metric
    compared: str
    life_metric: Metric
    feedback: Literal["label", "correction"]
    examples: tuple[str, str]
    reads_pairs: bool = False
    reads_messages: bool = False
    ranks: bool = False
    embeds: bool = False
    pairs_belong: bool = False
    pairs_tokenizers: bool = False
    continues_text: bool = False
    family: ProblemName | None = None

    @property
    def has_labels(self) -> bool:
        """Whether targets are labels of a fixed set: there is a vocabulary to hold them against."""
        return self.target in ("label", "labels", "spans")

    @property
    def has_classes(self) -> bool:
        """Whether each target is one label: there are classes to guard and to weigh, and a confidence to calibrate."""
        return self.target == "label"

    @property
    def has_label_sets(self) -> bool:
        """Whether each target holds any number of labels: is a set of them, or spans with one each (tasks/data/label_sets.py)."""
        return self.target in ("labels", "spans")

    @property
    def has_spans(self) -> bool:
        """Whether each target is spans of the text, with a label each (tasks/data/spans.py)."""
        return self.target == "spans"

    @property
    def is_number(self) -> bool:
        """Whether targets are numbers, and answers are."""
        return self.target == "number"

    @property
    def least_number(self) -> float:
        """The least that a number of the targets may be."""
        return 0.0 if self.ranks else float("-inf")

    @property
    def finds_answers(self) -> bool:
        """Whether a question is read beside a context, and targets are places of answers there (tasks/data/answers.py)."""
        return self.target == "answer"

    @property
    def compares_errors(self) -> bool:
        """Whether scores are errors of numbers: margins and effects are in the unit of these."""
        return self.is_number and not self.primary.higher_is_better

    @property
    def answers_in_unit(self) -> bool:
        """Whether answers are numbers in the unit of the targets, so that both can be drawn beside one another."""
        return self.is_number and not self.ranks and not self.pairs_belong

    @property
    def needs_pairs(self) -> bool:
        """Whether every row has two texts."""
        return self.ranks or self.embeds

    @property
    def input_column(self) -> InputColumn:
        """The setting under `data` that names the column that is read."""
        return "prompt" if self.writes_text else "question" if self.finds_answers else "text"

    @property
    def pair_column(self) -> InputColumn:
        """The setting under `data` that names the column that is read beside it."""
        return "context" if self.finds_answers else "text_pair"

    @property
    def target_column(self) -> TargetColumn:
        """The setting under `data` that names the column of targets."""
        return TARGET_COLUMNS[self.target]

    @property
    def own_columns(self) -> tuple[InputColumn | TargetColumn, ...]:
        """The settings under `data` that name the columns which every row has to have."""
        read = (self.input_column, self.pair_column) if self.finds_answers else (self.input_column,)
        return (*read, self.target_column)

    @property
    def writes_text(self) -> bool:
        """Whether answers are texts: they are decoded, redacted, and corrected by other texts."""
        return self.target == "text"
