"""One kept model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from configs.schema.adapters import Adapter, Lora
from configs.schema.contract import Contract
from configs.schema.data import Data
from configs.schema.evaluation import Decoding, Evaluation
from configs.schema.gate import Gate
from configs.schema.metrics import BLEU
from configs.schema.objectives import Objective, Supervised, check_chain
from configs.schema.operations import Monitor, Release, Schedule, Serving
from configs.schema.preference_objectives import with_usual_loss
from configs.schema.problem_defaults import with_defaults
from configs.schema.problem_facts import TARGET_COLUMNS, ProblemFacts, ProblemName
from configs.schema.problems import facts_of, family_of
from configs.schema.section import Frozen, meant_name, written_as
from configs.schema.training import Model, Training

LEAST_WINDOW = 24  # tokens
NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


def _known_problem(value: object) -> object:
    if value not in get_args(ProblemName):
        names = get_args(ProblemName)
        suggestion = meant_name("-".join(str(value).replace("_", " ").split()), names)
        raise ValueError(f"is no problem: {suggestion}write one of {', '.join(names)}")
    return value


def _with_usual_kind(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an objective, with the kind and the loss that it has where none is named."""
    return with_usual_loss({"kind": Supervised().kind, **values})


class Pipeline(Frozen):
    """One kept model: the parameter of every flow, so the Prefect UI shows and checks it."""

    name: Annotated[
        str,
        Field(pattern=NAME, description="lower case, digits and -; also the model's name"),
        written_as(NAME, "a name is made of a to z in lower case, digits and -, 63 at most, no - first: such as my-model"),
    ]
    problem: Annotated[ProblemName, BeforeValidator(_known_problem)]
    data: Data
    model: Model
    contract: Contract = Contract()
    adapter: Adapter = Lora()
    objective: Annotated[
        Annotated[Objective, Tag("one")] | Annotated[tuple[Objective, ...], Tag("several")],
        Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
    ] = Field(Supervised(), description="one, or a list: each training starts from the weights of the one before")
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gate: Gate = Gate()
    release: Release = Release()
    serving: Serving = Serving()
    monitor: Monitor = Monitor()
    schedule: Schedule = Schedule()

    @property
    def facts(self) -> ProblemFacts:
        """What its problem reads and says, and what its models are compared by."""
        return self.last_objective.with_metrics(facts_of(self.problem))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives of its trainings, in their order."""
        return self.objective if isinstance(self.objective, tuple) else (self.objective,)

    @property
    def last_objective(self) -> Objective:
        """That of the weights which are released: what models are compared by is its."""
        return self.objectives[-1]

    @property
    def inputs(self) -> Literal["text", "pair", "messages"]:
        """What one input is: a text, two beside one another, or a conversation."""
        if self.data.messages is not None:
            return "messages"
        return "pair" if getattr(self.data, self.facts.pair_column) is not None else "text"

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns that are read: of texts, of two texts beside one another, or of conversations."""
        if self.data.messages is not None:
            return (self.data.messages,)
        names = (self.data.words or getattr(self.data, self.facts.input_column), getattr(self.data, self.facts.pair_column))
        return tuple(name for name in names if name is not None)

    @property
    def family(self) -> ProblemName:
        """The problem whose rows, contract and networks these are: what keys know it by."""
        return family_of(self.problem)

    @model_validator(mode="before")
    @classmethod
    def _a_problem_has_defaults_of_its_own(cls, values: object) -> object:
        return with_defaults(values) if isinstance(values, dict) else values

    @field_validator("adapter", mode="before")
    @classmethod
    def _an_adapter_is_lora_unless_it_says_otherwise(cls, value: object) -> object:
        return {"kind": Lora().kind, **value} if isinstance(value, dict) else value

    @field_validator("objective", mode="before")
    @classmethod
    def _an_objective_is_supervised_unless_it_says_otherwise(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError("an empty list: name one objective or more, or leave it out")
            stages = [_with_usual_kind(each) if isinstance(each, dict) else each for each in value]
            return stages[0] if len(stages) == 1 else stages
        return _with_usual_kind(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _no_setting_is_without_effect(self) -> Self:
        split = self.data.split
        names_validation = split.by == "given" and split.column is not None  # that column may name validation rows
        if self.training.early_stopping is not None and split.validation == 0 and not names_validation:
            raise ValueError(
                "training.early_stopping watches the validation rows, and data.split.validation is 0: "
                "raise data.split.validation, or drop training.early_stopping"
            )
        own = self.facts.own_columns
        for name in sorted({"text", "prompt", "question", "context", *TARGET_COLUMNS.values()} - {*own}):
            if getattr(self.data, name) != Data.model_fields[name].default:
                raise ValueError(
                    f"data.{name}: {self.problem} reads no column of that name: name its columns by {' and '.join(own)}"
                )
        if self.data.words is not None and not self.facts.has_spans:
            raise ValueError(f"data.words: {self.problem} reads no words with tags: drop data.words and data.tags")
        if self.data.words is not None and any(getattr(self.data, name) != Data.model_fields[name].default for name in own):
            raise ValueError(f"data.words and data.tags stand instead of {' and '.join(own)}: drop data.{' and data.'.join(own)}")
        if not self.facts.compares_errors and (large := [name for name, value in self.gate.given_margins().items() if value >= 1]):
            raise ValueError(
                f"gate: {' and '.join(large)} must be less than 1: the scores of {self.problem} are shares or nats; "
                "0.01 is one point"
            )
        if self.data.text_pair is not None and not self.facts.reads_pairs:
            raise ValueError(f"data.text_pair: {self.problem} reads one text: drop it")
        if self.contract.vocabulary != "may_grow" and not self.facts.has_labels:
            raise ValueError(f"contract.vocabulary: {self.problem} has no labels to hold against one: drop it")
        if self.gate.window is not None and self.data.time is None:
            raise ValueError(
                "gate.window is of the newest test rows, and data.time names no column: set data.time, or drop gate.window"
            )
        return self

    @model_validator(mode="after")
    def _adapter_and_objectives_fit(self) -> Self:
        self.adapter.check_choice(self.problem, self.facts)
        check_chain(self.objectives)
        if len(self.objectives) > 1 and self.training.learning_rate is not None:
            raise ValueError("training.learning_rate: objectives of a chain bear rates of their own: write it under each of them")
        for stage in self.objectives:
            stage.check_choice(self.problem, self.facts, self.adapter)
        if not self.last_objective.trains and self.training.start == "champion":
            raise ValueError(
                f"training.start: {self.last_objective.kind} trains nothing that could go on from a champion: set it to base"
            )
        if self.last_objective.needs_pairs and self.data.rejected is None and not self.data.feedback:
            raise ValueError(
                f"objective.kind {self.last_objective.kind} learns from pairs of answers: set data.rejected to the column of those "
                "that the completions were preferred to, or data.feedback=true to learn from corrections"
            )
        if self.last_objective.needs_thumbs != (self.data.thumb is not None):
            raise ValueError(
                "data.thumb and objective.loss=kto belong together: name the column that says which answers are good, and learn by "
                "that loss; or drop both"
            )
        if self.data.rejected is not None and not self.last_objective.needs_pairs:
            raise ValueError(f"data.rejected: objective.kind {self.last_objective.kind} reads no rejected answers: drop it")
        return self

    @model_validator(mode="after")
    def _two_texts_are_there_where_two_are_read(self) -> Self:
        if self.data.text_pair is None and self.facts.needs_pairs:
            raise ValueError(f"data.text_pair: {self.problem} has two texts a row: name the column of the second")
        if self.facts.pairs_belong and self.data.number != Data.model_fields["number"].default:
            raise ValueError(
                f"data.number: all rows of {self.problem} belong together: drop it, or set problem=sentence-similarity"
            )
        if self.data.negative is not None and not self.facts.pairs_belong:
            raise ValueError(f"data.negative: {self.problem} reads no text that a pair is held against: drop it")
        return self

    @model_validator(mode="after")
    def _a_bound_is_on_the_side_that_is_worse(self) -> Self:
        """A floor on an error, or a ceiling on an accuracy, would let no good model pass."""
        better = {metric.name: metric.higher_is_better for metric in (*self.facts.metrics, self.facts.primary)}
        for own, other, bounds, is_wrong in (
            ("floors", "ceilings", self.gate.floors, False),
            ("ceilings", "floors", self.gate.ceilings, True),
        ):
            if wrong := [name for name in bounds if better.get(name) is is_wrong]:
                more = "more" if is_wrong else "less"
                raise ValueError(f"gate.{own}: {more} of {' and '.join(wrong)} is better: write it under gate.{other}")
        return self

    @model_validator(mode="after")
    def _conversations_hold_both_sides(self) -> Self:
        if self.data.messages is None:
            return self
        if not self.facts.reads_messages:
            raise ValueError(f"data.messages: {self.problem} reads no conversations: drop it")
        own = (self.facts.input_column, self.facts.target_column)
        if other := [name for name in own if getattr(self.data, name) != name]:
            raise ValueError(f"data.{other[0]}: conversations hold what is read and what is answered: drop it, or data.messages")
        return self

    @model_validator(mode="after")
    def _texts_are_written_where_settings_say_how(self) -> Self:
        if self.model.target_tokenizer is not None and not self.facts.pairs_tokenizers:
            raise ValueError(f"model.target_tokenizer: {self.problem} has one tokenizer, its base's own: drop it")
        if self.facts.finds_answers and self.model.max_length < LEAST_WINDOW:
            raise ValueError(f"model.max_length: a question and a context need {LEAST_WINDOW} tokens at the least: raise it")
        if self.model.languages is not None and not self.facts.pairs_tokenizers:
            raise ValueError(f"model.languages: {self.problem} reads and writes no two languages: drop it")
        if self.evaluation.decoding != Decoding() and not self.facts.writes_text:
            raise ValueError(f"evaluation.decoding: {self.problem} writes no texts: drop it")
        if self.evaluation.judge is not None and not self.facts.writes_text:
            raise ValueError(f"evaluation.judge: {self.problem} writes no texts: drop it")
        if self.evaluation.judge is not None and not self.evaluation.decode_rows:
            raise ValueError(
                "evaluation.judge: evaluation.decode_rows is 0, so no answers are written: raise it, or drop the judge"
            )
        if self.evaluation.bleu_tokenizer != Evaluation().bleu_tokenizer and BLEU not in self.facts.metrics:
            raise ValueError(f"evaluation.bleu_tokenizer: {self.problem} is not scored by BLEU: drop it")
        return self
