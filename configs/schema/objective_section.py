"""What every objective can be told where it is one of a chain."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from configs.schema.problem_facts import ProblemFacts
from configs.schema.section import Frozen


class ObjectiveSection(Frozen):
    """What every objective can be told where it is one of a chain; `needs_pairs`: whether its rows are pairs of answers,
    `needs_thumbs`: whether its answers are good or bad by themselves; `trains`: whether it moves weights, step by step."""

    epochs: Annotated[int, Field(ge=1)] | None = Field(None, description="of this stage of a chain; default: training.epochs")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        None, description="of this stage of a chain; default: that of the objective and the adapter"
    )

    needs_pairs: ClassVar[bool] = False
    needs_thumbs: ClassVar[bool] = False
    trains: ClassVar[bool] = True

    @classmethod
    def with_metrics(cls, facts: ProblemFacts) -> ProblemFacts:
        """What models of this objective are compared by: what their problem says, unless the objective asks for something else."""
        return facts
