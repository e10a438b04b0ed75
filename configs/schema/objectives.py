"""What a training minimises."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from configs.schema.adapters import Adapter
from configs.schema.problems import FACTS, ProblemFacts, ProblemName
from configs.schema.section import Frozen


class Supervised(Frozen):
    kind: Literal["supervised"] = "supervised"
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    needs_pairs: ClassVar[bool] = False

    def check_choice(self, problem: ProblemName, facts: ProblemFacts, adapter: Adapter) -> None:
        """ValueError where these settings make no sense beside the problem or the adapter."""
        if self.class_weights != "none" and not facts.has_labels:
            raise ValueError(f"objective.class_weights: {problem} has no classes to weigh: set it to none")

    def with_metrics(self, facts: ProblemFacts) -> ProblemFacts:
        """What models of this objective are compared by: what their problem says."""
        return facts


OBJECTIVES = (Supervised,)
Objective = Supervised


def metric_titles() -> dict[str, str]:
    """What people read for the metrics of all problems and objectives, by name."""
    every = [kind().with_metrics(facts) for kind in OBJECTIVES for facts in FACTS.values()]
    return {metric.name: metric.title for facts in every for metric in (facts.primary, *facts.metrics)}
