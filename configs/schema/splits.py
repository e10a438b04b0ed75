"""How rows are divided into those that are learned from and those that are held out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import Fraction, Frozen


class HashSplit(Frozen):
    """A row's split is a keyed hash of its group, else of its raw text: it never moves, whatever else arrives."""

    by: Literal["hash"] = "hash"
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(ge=0, lt=0.8)] = 0.2


class TimeSplit(Frozen):
    """The newest rows are test, those before them validation: fractions of the rows in order of time."""

    by: Literal["time"] = "time"
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    test: Fraction = 0.2


class GivenSplit(Frozen):
    """`data.test` names the test rows, or `column` holds train, validation or test for each row."""

    by: Literal["given"] = "given"
    column: str | None = None
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
