"""When a challenger replaces the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import DAYS, Fraction, Frozen, LooksPerYear


class Guards(Frozen):
    """Vetoes on evidence of harm: a guard fires where its one-sided test shows a loss beyond its margin."""

    slice_margin: Annotated[float, Field(ge=0, lt=1)] = 0.03
    older_margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.02, description="on the test rows before gate.window")
    class_margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.10, description="on the recall of each class")
    min_n: Annotated[int, Field(ge=1)] = Field(30, description="a slice or class of fewer effective rows is reported, not judged")


class Gate(Frozen):
    rule: Literal["better", "not_worse"] = "better"
    margin: Annotated[float, Field(gt=0, lt=1)] = Field(0.01, description="for not_worse: the largest loss of the primary score")
    alpha: Fraction = 0.05
    power: Fraction = 0.8
    effect: Annotated[float, Field(gt=0, lt=1)] = Field(0.02, description="the gain that `rows needed` is worked out for")
    looks_per_year: LooksPerYear = 52
    window: Annotated[int, Field(ge=1, le=DAYS)] | None = Field(None, description="days before the newest test row; default: all")
    min_rows: Annotated[int, Field(ge=1)] = Field(100, description="fewer effective fair test rows decide nothing")
    floors: dict[str, float] = Field(default={}, description="metric -> the least a challenger may have")
    guards: Guards = Guards()
    first: Literal["useful", "better"] = Field(
        "useful",
        description="where there is no champion. useful: better than the trivial baseline (majority class; unigram), and no loss "
        "beyond first_margin shown against the best baseline; better: better than the best baseline",
    )
    first_margin: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="for first=useful, of the primary score: 0.05 is 5 points of accuracy, or 0.05 nats per token of text"
    )

    def rule_against(self, champion: str | None) -> str:
        """The rule of a decision against that champion: `first` where there is none, else `rule`."""
        return self.first if champion is None else self.rule
