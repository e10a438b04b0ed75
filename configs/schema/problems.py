"""The problems, and the facts about each that text, report and serving read: only its own code asks for a problem by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from configs.schema import metrics as m
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
    with a label each, a number, an answer that stands in what is read, or a text. `metrics` are those that pages show. `primary` is
    the mean of what the gate compares of rows, which `compared` says in words. `life_metric` is the one that a model's history
    draws. `feedback` is how a person corrects an answer, `examples` are two texts to ask. `reads_pairs`: it may read two texts
    beside one another. `ranks`: it always does, the first is a query and the second
    what is ranked for it, by numbers of 0 or more; the rows of a query are one group where the config names no other, and have one
    score. `embeds`: each text has a vector, and a pair is answered by how alike its two are. `pairs_belong`: every row is a pair
    that belongs together, so that no column holds targets. `reads_messages`: it may read conversations. `pairs_tokenizers`: targets
    may have a tokenizer and a language of their own. `continues_text`: answers go on where what was read ends. `family` is the
    problem whose rows, contract and networks these are, where another's are: the two differ in their defaults and in how texts are
    scored.
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


TEXT_TO_TEXT = ProblemFacts(
    target="text",
    metrics=(m.NLL, m.PERPLEXITY, m.EXACT_MATCH, m.CHRF, m.ROUGE_L),
    primary=m.NLL_OF_ROWS,
    compared=m.LIKELIHOOD,
    life_metric=m.PERPLEXITY,
    feedback="correction",
    examples=("The meeting is moved to Thursday at nine.", "The parcel was left with a neighbour."),
    pairs_tokenizers=True,
)
FACTS: dict[ProblemName, ProblemFacts] = {
    "text-classification": ProblemFacts(
        target="label",
        metrics=(
            m.ACCURACY,
            Metric("f1_macro", "F1 macro", "share", True),
            Metric("log_loss", "log loss", "number", False),
            Metric("expected_calibration_error", "calibration error", "share", False),
        ),
        primary=m.ACCURACY,
        compared=m.ACCURACY.title,
        life_metric=m.ACCURACY,
        feedback="label",
        examples=("Where is my refund?", "I cannot log in any more"),
        reads_pairs=True,
    ),
    "multi-label-classification": ProblemFacts(
        target="labels",
        metrics=(
            m.F1_ROWS,
            Metric("subset_accuracy", "whole sets right", "share", True),
            Metric("f1_micro", "F1 micro", "share", True),
            Metric("f1_macro", "F1 macro", "share", True),
        ),
        primary=m.F1_ROWS,
        compared="F1 of each row's labels",
        life_metric=m.F1_ROWS,
        feedback="label",
        examples=("The invoice is wrong and I cannot log in", "Where is my refund?"),
        reads_pairs=True,
    ),
    "text-regression": ProblemFacts(
        target="number",
        metrics=(
            m.MAE,
            Metric("rmse", "root mean squared error", "number", False),
            Metric("r2", "R squared", "number", True),
            m.RANK_CORRELATION,
        ),
        primary=m.MAE,
        compared=m.MAE.title,
        life_metric=m.MAE,
        feedback="label",
        examples=("The parcel came two days late and the box was open.", "All as promised."),
        reads_pairs=True,
    ),
    "token-classification": ProblemFacts(
        target="spans",
        metrics=(
            m.F1_ROWS,
            Metric("rows_right", "texts all right", "share", True),
            Metric("f1_micro", "F1 micro", "share", True),
            Metric("precision_micro", "precision", "share", True),
            Metric("recall_micro", "recall", "share", True),
            Metric("f1_macro", "F1 macro", "share", True),
        ),
        primary=m.F1_ROWS,
        compared="F1 of each text's entities, place and type exact",
        life_metric=m.F1_ROWS,
        feedback="label",
        examples=("Ada Lovelace wrote to Charles Babbage in London.", "The meeting with Acme is in Oslo on Monday."),
    ),
    "question-answering": ProblemFacts(
        target="answer",
        metrics=(
            m.F1_WORDS,
            m.EXACT_MATCH,
            Metric("has_answer_f1", "F1 where there is an answer", "share", True),
            Metric("no_answer_accuracy", "no answer, and none given", "share", True),
        ),
        primary=m.F1_WORDS,
        compared="F1 of the words of each answer",
        life_metric=m.F1_WORDS,
        feedback="label",
        examples=("When does the meeting begin?", "The meeting is moved to Thursday. It begins at nine in the large room."),
    ),
    "text-ranking": ProblemFacts(
        target="number",
        metrics=(m.NDCG, m.MRR, m.RECALL_AT_1, m.RECALL_AT_10),
        primary=m.NDCG,
        compared="nDCG@10, mean of queries",
        life_metric=m.NDCG,
        feedback="label",
        examples=("how long does a refund take", "A refund is on your account within three days."),
        reads_pairs=True,
        ranks=True,
    ),
    "sentence-similarity": ProblemFacts(
        target="number",
        metrics=(m.RANK_CORRELATION, Metric("correlation", "correlation", "number", True)),
        primary=m.RANK_CORRELATION,
        compared="rank correlation, row by row",
        life_metric=m.RANK_CORRELATION,
        feedback="label",
        examples=("A child runs across a field.", "A boy is running on the grass."),
        reads_pairs=True,
        embeds=True,
    ),
    "text-retrieval": ProblemFacts(
        target="number",
        metrics=(m.MRR, m.RECALL_AT_1, m.RECALL_AT_10),
        primary=m.MRR,
        compared="reciprocal rank of the right partner",
        life_metric=m.MRR,
        feedback="label",
        examples=("Where is my refund?", "When do I get my money back?"),
        reads_pairs=True,
        embeds=True,
        pairs_belong=True,
    ),
    "text-generation": ProblemFacts(
        target="text",
        metrics=(m.NLL, m.PERPLEXITY, m.EXACT_MATCH, m.ROUGE_L),
        primary=m.NLL_OF_ROWS,
        compared=m.LIKELIHOOD,
        life_metric=m.PERPLEXITY,
        feedback="correction",
        examples=("Question: 3 + 4 = ?\nAnswer:", "Question: 5 + 2 = ?\nAnswer:"),
        continues_text=True,
        reads_messages=True,
    ),
    "text2text-generation": TEXT_TO_TEXT,
    "summarization": replace(
        TEXT_TO_TEXT,
        metrics=(m.NLL, m.PERPLEXITY, m.ROUGE_1, m.ROUGE_2, m.ROUGE_L),
        examples=(
            "The meeting on Thursday is moved to nine, as the large room is taken at ten. Minutes will be sent on Friday.",
            "Nobody was in, so the parcel was left with a neighbour. A card with the name is in the letter box.",
        ),
        family="text2text-generation",
    ),
    "translation": replace(TEXT_TO_TEXT, metrics=(m.NLL, m.PERPLEXITY, m.BLEU, m.CHRF, m.TER), family="text2text-generation"),
}


def family_of(problem: ProblemName) -> ProblemName:
    """The problem whose rows, contract and networks these are: its own, or that of its family."""
    return FACTS[problem].family or problem


def facts_of(problem: ProblemName) -> ProblemFacts:
    """The facts about a problem."""
    return FACTS[problem]
