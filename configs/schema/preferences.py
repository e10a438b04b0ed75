"""Who prefers which of two models' answers: a model that judges them by pairs, or people."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.schema.section import Fraction, Frozen

CountsAs = Literal["nothing", "guard", "primary"]
Margin = Annotated[float, Field(gt=0, lt=2)]


class Agreement(Frozen):
    """People's judgements of pairs, which a judge is held to before it may count."""

    source: str = Field(description="JSON lines of prompt, a, b (two answers) and preferred: a, b or tie")
    minimum: Fraction = Field(0.6, description="the least that the lower bound of the share of equal judgements has to be")
    confidence: Fraction = Field(0.95, description="of that one-sided bound (exact: Clopper and Pearson 1934)")


class ModelJudge(Frozen):
    """A model behind an OpenAI-compatible address, asked about each pair in both orders at temperature 0."""

    kind: Literal["model"] = "model"
    url: str = Field(description="the address that ends in /v1; the redacted prompts and answers are sent there")
    model: str
    key_variable: str | None = Field(None, description="the environment variable that holds the key, which no config holds")
    criterion: str = Field(
        "Which answer is more correct, more helpful and better written?", description="the question that is asked about each pair"
    )
    rows: Annotated[int, Field(ge=1, le=5_000)] = Field(100, description="test rows at the most, drawn by `seed`")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_tokens: Annotated[int, Field(ge=1, le=1_000)] = Field(8, description="of one judgement")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(30, description="for one judgement")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(3, description="at one judgement, where the address does not answer")
    counts_as: CountsAs = Field("nothing", description="at the gate, once the judge agrees with people")
    margin: Margin = Field(
        0.1, description="of a guard: the tolerated loss, as the share of pairs preferred less the share not preferred"
    )
    agreement: Agreement | None = None

    @field_validator("url")
    @classmethod
    def _is_a_web_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or "@" in value:
            raise ValueError("is an address such as https://judge.example.org/v1, without a login: name the key by key_variable")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _a_key_is_named_and_not_given(self) -> Self:
        if self.key_variable is not None and not self.key_variable.isidentifier():
            raise ValueError(
                "key_variable is no name of an environment variable: put the key into one, such as JUDGE_KEY, and write that name"
            )
        return self

    @model_validator(mode="after")
    def _counts_only_where_it_is_measured(self) -> Self:
        if self.counts_as != "nothing" and self.agreement is None:
            raise ValueError(
                f"counts_as is `{self.counts_as}` and agreement names no judgements of people: set agreement.source, or leave "
                "counts_as at nothing"
            )
        return self


class HumanJudge(Frozen):
    """People's judgements of the two models' own answers."""

    kind: Literal["human"] = "human"
    source: str = Field(description="JSON lines of prompt, a, b and preferred, such as the file of pairs that a run writes")
    counts_as: CountsAs = "nothing"
    margin: Margin = 0.1
    rows: Annotated[int, Field(ge=1, le=5_000)] = Field(100, description="pairs at the most that are written for people to judge")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


Judge = ModelJudge | HumanJudge


class Scorer(Frozen):
    """A function of your own that gives one number a row; it is run with the rights of whoever runs the pipeline."""

    function: str = Field(description="package.module:function, or a file: scorers/mine.py:function")
    higher_is_better: bool = True
    counts_as: CountsAs = Field("nothing", description="at the gate, against the champion")
    margin: Annotated[float, Field(gt=0)] = Field(0.1, description="the loss that a guard tolerates, or the gain looked for")
    largest: Annotated[float, Field(gt=0)] = Field(1.0, description="what one row can differ by at the gate: more counts as this")

    @property
    def name(self) -> str:
        """The function's own name, by which metrics are called."""
        return self.function.rpartition(":")[2]

    @field_validator("function")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        place, _, name = value.rpartition(":")
        if not place or not name.isidentifier() or not (place.endswith(".py") or all(map(str.isidentifier, place.split(".")))):
            raise ValueError(f"{value!r} names no function: write package.module:function, or scorers/mine.py:function")
        return value


def as_scorer(value: object) -> object:
    """A scorer that a config names by its function alone."""
    return {"function": value} if isinstance(value, str) else value
