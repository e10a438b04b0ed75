"""What a training minimises."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from configs.schema.adapters import Adapter, HeadOnly
from configs.schema.objective_section import ObjectiveSection
from configs.schema.preference_objectives import PREFERENCES, AnyPreference, PreferenceSection
from configs.schema.problem_facts import ProblemFacts, ProblemName
from configs.schema.problems import FACTS


class Contrastive(ObjectiveSection):
    """Texts of one class become alike, those of two unlike, as a first stage where rows are few (SetFit, arXiv:2209.11055)."""

    kind: Literal["contrastive"] = "contrastive"
    epochs: Annotated[int, Field(ge=1)] = Field(1, description="passes over the pairs")
    pairs_per_row: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="pairs of each kind that every row is in")

    def check_choice(self, problem: ProblemName, facts: ProblemFacts, adapter: Adapter) -> None:
        """ValueError where these settings make no sense beside the problem or the adapter."""
        if not facts.has_classes:
            raise ValueError(f"objective.kind contrastive is of problems with one class a row, and {problem} has none: drop it")
        if isinstance(adapter, HeadOnly):
            raise ValueError("adapter.kind frozen: objective.kind contrastive moves the base, not the head: take lora")


class Supervised(ObjectiveSection):
    kind: Literal["supervised"] = "supervised"
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="how much less rows count that are right already (focal loss, arXiv:1708.02002); 0: not at all, 2: usual"
    )
    r_drop: Annotated[float, Field(ge=0, le=100)] = Field(
        0.0, description="how hard two passes with other dropout have to agree (arXiv:2106.14448); 0: one pass, 1 to 5: usual"
    )
    head: Literal["new", "logistic"] = Field(
        "new", description="how a head begins; logistic: as a logistic regression on the untrained base's vectors, for few steps"
    )

    def check_choice(self, problem: ProblemName, facts: ProblemFacts, adapter: Adapter) -> None:
        """ValueError where these settings make no sense beside the problem or the adapter."""
        if self.class_weights != "none" and not facts.has_classes:
            raise ValueError(f"objective.class_weights: {problem} has no classes to weigh: set it to none")
        for name in ("focal_gamma", "r_drop", "head"):
            if getattr(self, name) != type(self).model_fields[name].default and not facts.has_classes:
                raise ValueError(f"objective.{name} is of problems with one class a row, and {problem} has none: drop it")
        if self.focal_gamma and self.label_smoothing:
            raise ValueError("objective.label_smoothing makes answers less sure, and objective.focal_gamma does: drop one of them")


class ZeroShot(ObjectiveSection):
    """No weight is trained: a text has the class whose name, or description, its vector is nearest to."""

    kind: Literal["zero-shot"] = "zero-shot"
    descriptions: dict[str, Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        default={}, description="label -> what texts of it say; default: the label's own words"
    )

    trains: ClassVar[bool] = False

    def check_choice(self, problem: ProblemName, facts: ProblemFacts, adapter: Adapter) -> None:
        """ValueError where these settings make no sense beside the problem or the adapter."""
        if not facts.has_classes:
            raise ValueError(f"objective.kind zero-shot is of problems with one class a row, and {problem} has none: drop it")
        if not isinstance(adapter, HeadOnly):
            raise ValueError("objective.kind zero-shot trains no weights: set adapter.kind to frozen")


OBJECTIVES = (Contrastive, Supervised, *PREFERENCES, ZeroShot)
KINDS = tuple(
    dict.fromkeys(section.model_fields["kind"].default for section in (Contrastive, Supervised, *PREFERENCES))
)  # as a chain has them
Objective = Annotated[Contrastive | Supervised | AnyPreference | ZeroShot, Field(discriminator="kind")]


def check_chain(stages: tuple[Contrastive | Supervised | PreferenceSection | ZeroShot, ...]) -> None:
    """ValueError where objectives do not follow one another, or the only one has settings of a stage."""
    if isinstance(stages[-1], Contrastive):
        raise ValueError("objective: contrastive trains no head: let `{kind: supervised, head: logistic}` follow it, in a list")
    if len(stages) > 1 and any(isinstance(stage, ZeroShot) for stage in stages):
        raise ValueError("objective: zero-shot trains nothing that another could go on from: name it alone")
    order = [KINDS.index(stage.kind) for stage in stages if stage.kind in KINDS]
    if order != sorted(set(order)):
        raise ValueError(f"objective: a chain has each of {', '.join(KINDS)} once at the most, in this order: put them so")
    if len(stages) == 1 and (own := [name for name in ObjectiveSection.model_fields if getattr(stages[0], name) is not None]):
        raise ValueError(f"objective.{own[0]} is of a stage of a chain, and there is one objective: write it under training")


def metric_titles() -> dict[str, str]:
    """What people read for the metrics of all problems and objectives, by name."""
    every = [section.with_metrics(facts) for section in OBJECTIVES for facts in FACTS.values()]
    return {metric.name: metric.title for facts in every for metric in (facts.primary, *facts.metrics)}
