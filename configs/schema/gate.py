"""When a challenger replaces the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import DAYS, Fraction, Frozen, LooksPerYear

# Of the primary score's unit: points of accuracy, nats per token of text or, where targets are numbers, the unit of those. What is
# left out is FEW times the scale of the scores, which is 1 where they are shares or nats.
Margin = Annotated[float, Field(gt=0)]
FEW = {"margin": 0.01, "effect": 0.02, "first_margin": 0.05, "slice_margin": 0.03, "older_margin": 0.02}


class Guards(Frozen):
    """Vetoes on evidence of harm: a guard fires where its one-sided test shows a loss beyond its margin."""

    slice_margin: Annotated[float, Field(ge=0)] | None = Field(None, description="of the primary score; default 0.03")
    older_margin: Annotated[float, Field(ge=0)] | None = Field(
        None, description="of the primary score, on the test rows before gate.window; default 0.02"
    )
    class_margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.10, description="on the recall of each class")
    min_n: Annotated[int, Field(ge=1)] = Field(30, description="a slice or class of fewer effective rows is reported, not judged")


class Gate(Frozen):
    rule: Literal["better", "not_worse"] = "better"
    margin: Margin | None = Field(None, description="for not_worse: the largest loss of the primary score; default 0.01")
    alpha: Fraction = 0.05
    power: Fraction = 0.8
    effect: Margin | None = Field(None, description="the gain that `rows needed` is worked out for; default 0.02")
    looks_per_year: LooksPerYear = 52
    window: Annotated[int, Field(ge=1, le=DAYS)] | None = Field(None, description="days before the newest test row; default: all")
    min_rows: Annotated[int, Field(ge=1)] = Field(100, description="fewer effective fair test rows decide nothing")
    floors: dict[str, float] = Field(default={}, description="metric -> the least a challenger may have")
    ceilings: dict[str, float] = Field(default={}, description="metric, such as an error -> the most a challenger may have")
    guards: Guards = Guards()
    first: Literal["useful", "better"] = Field(
        "useful",
        description="where there is no champion. useful: better than the trivial baseline (majority class; unigram), and no loss "
        "beyond first_margin shown against the best baseline; better: better than the best baseline",
    )
    first_margin: Margin | None = Field(
        None,
        description="for first=useful, of the primary score: 0.05 is 5 points of accuracy, or 0.05 nats per token of text; "
        "default 0.05",
    )

    def rule_against(self, champion: str | None) -> str:
        """The rule of a decision against that champion: `first` where there is none, else `rule`."""
        return self.first if champion is None else self.rule

    def given_margins(self) -> dict[str, float]:
        """The margins and effects in the primary score's unit that the config gives, by name."""
        values = {**{name: getattr(self, name) for name in FEW if name in type(self).model_fields}, **self.guards.model_dump()}
        return {name: float(values[name]) for name in FEW if values[name] is not None}

    def at_scale(self, scale: float = 1.0) -> ScaledGate:
        """The settings for scores of this scale: what the config leaves out is filled in."""
        margins = {name: few * scale for name, few in FEW.items()} | self.given_margins()
        guards = ScaledGuards(
            **{**self.guards.model_dump(), **{name: margins.pop(name) for name in ("slice_margin", "older_margin")}}
        )
        return ScaledGate(**{**self.model_dump(), **margins, "guards": guards})


class ScaledGuards(Guards):
    """Guards with every margin filled in."""

    slice_margin: float
    older_margin: float


class ScaledGate(Gate):
    """A gate with every margin and effect filled in, in the unit of the scores that it compares."""

    margin: float
    effect: float
    first_margin: float
    guards: ScaledGuards
