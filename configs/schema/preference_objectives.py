"""Objectives that learn which answers people prefer: all of `kind: preference`, a section for each family of losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from configs.schema.adapters import Adapter
from configs.schema.metrics import Metric
from configs.schema.objective_section import ObjectiveSection
from configs.schema.problem_facts import ProblemFacts, ProblemName

PREFERENCE_ACCURACY = Metric("preference_accuracy", "preference accuracy", "share", True)
PREFERENCE_MARGIN = Metric("preference_margin", "preference margin", "number", True)
THUMB_MARGIN = Metric("thumb_margin", "thumb margin", "number", True)
THUMB_AUC = Metric("thumb_auc", "good above bad", "share", True)
USUAL_LOSS: Literal["sigmoid"] = "sigmoid"  # where `kind: preference` stands alone

Weight = Annotated[float, Field(gt=0)]


class PreferenceSection(ObjectiveSection):
    """What all losses of preference have in common; `loss` says which section it is."""

    kind: Literal["preference"] = "preference"

    needs_pairs: ClassVar[bool] = True
    one_loss: ClassVar[Mapping[str, str]] = {}  # settings that one loss of a section has alone

    @model_validator(mode="before")
    @classmethod
    def _no_setting_is_of_another_loss(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        for name in values:
            others = [] if name in cls.model_fields else _losses_with(name)
            if others:
                raise ValueError(f"{name} is of loss={' or '.join(others)}, and loss is {values.get('loss')}: drop it")
        return values

    def check_choice(self, problem: ProblemName, facts: ProblemFacts, adapter: Adapter) -> None:
        """ValueError where these settings make no sense beside the problem or the adapter."""
        if not facts.continues_text:
            raise ValueError(f"objective.kind preference: {problem} has no pairs of texts that a decoder continues: drop it")
        if dropout := getattr(adapter, "dropout", 0.0):
            raise ValueError(
                f"adapter.dropout {dropout}: objective.kind preference compares likelihoods, which dropout would drown: set it to 0"
            )
        loss = getattr(self, "loss", "")
        for name, owner in self.one_loss.items():
            if loss != owner and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"objective.{name} is of loss={owner}, and loss is {loss}: drop it")

    @classmethod
    def with_metrics(cls, facts: ProblemFacts) -> ProblemFacts:
        """What models of this objective are compared by: how much likelier they find the preferred answer than the rejected one."""
        return replace(
            facts,
            metrics=(PREFERENCE_MARGIN, PREFERENCE_ACCURACY, *facts.metrics),
            primary=PREFERENCE_MARGIN,
            compared="preference margin in nats a token, mean of rows",
            life_metric=PREFERENCE_MARGIN,
        )


class Preference(PreferenceSection):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290): answers that were preferred become likelier than
    those that were rejected, relative to the network that training starts from."""

    loss: Literal["sigmoid", "ipo", "hinge"] = Field(
        USUAL_LOSS, description="sigmoid: DPO; ipo: towards a fixed margin (arXiv:2310.12036); hinge: SLiC (arXiv:2305.10425)"
    )
    beta: Weight = Field(0.1, description="how hard to stay with the network that training starts from")
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="of loss=sigmoid: the share of pairs that may be the wrong way round"
    )

    one_loss: ClassVar[Mapping[str, str]] = {"label_smoothing": USUAL_LOSS}


class AnchoredPreference(PreferenceSection):
    """Anchored preference optimisation (D'Oosterlinck et al. 2024, arXiv:2408.06266): pairs as for DPO, and whether the preferred
    answers are to become likelier too, or less likely, than the network that training starts from finds them."""

    loss: Literal["apo_zero", "apo_down"] = Field(
        description="apo_zero: preferred answers are better than the network's own, and become likelier; apo_down: they are worse, "
        "and become less likely, rejected ones more so"
    )
    beta: Weight = Field(0.1, description="how hard to stay with the network that training starts from")

    label_smoothing: ClassVar[float] = 0.0  # these losses have none


class OddsRatioPreference(PreferenceSection):
    """ORPO (Hong et al. 2024, arXiv:2403.07691): preferred answers are learned, and their odds raised over those of rejected ones,
    in one training and without a network to compare with."""

    loss: Literal["orpo"]
    beta: Weight = Field(0.1, description="how much the odds ratio counts beside the likelihood of the preferred answer")


class SimplePreference(PreferenceSection):
    """SimPO (Meng et al. 2024, arXiv:2405.14734): preferred answers become likelier than rejected ones, token for token, by a
    margin, without a network to compare with."""

    loss: Literal["simpo"]
    beta: Weight = Field(2.0, description="how steeply the loss falls with the margin in nats a token")
    gamma: Annotated[float, Field(ge=0)] = Field(
        1.0, description="the margin to reach, in nats a token times beta; half of beta is the paper's start"
    )


class ThumbPreference(PreferenceSection):
    """KTO (Ethayarajh et al. 2024, arXiv:2402.01306): good answers become likelier and bad ones less likely, relative to the
    network that training starts from; an answer is good or bad by itself (data.thumb), without another beside it."""

    loss: Literal["kto"]
    beta: Weight = Field(0.1, description="how hard to stay with the network that training starts from")
    thumb_weights: Literal["balanced", "none"] = Field(
        "balanced", description="balanced: good and bad answers count the same in all, however many there are of each"
    )

    needs_pairs: ClassVar[bool] = False
    needs_thumbs: ClassVar[bool] = True

    @classmethod
    def with_metrics(cls, facts: ProblemFacts) -> ProblemFacts:
        """What models of this objective are compared by: how much likelier they find good answers than bad ones."""
        return replace(
            facts,
            metrics=(THUMB_MARGIN, THUMB_AUC),
            primary=THUMB_MARGIN,
            compared="thumb margin in nats a token, good answers less bad ones",
            life_metric=THUMB_MARGIN,
        )


PREFERENCES = (Preference, AnchoredPreference, OddsRatioPreference, SimplePreference, ThumbPreference)
AnyPreference = Annotated[
    Preference | AnchoredPreference | OddsRatioPreference | SimplePreference | ThumbPreference,
    Field(discriminator="loss"),
]


def losses_of(section: type[PreferenceSection]) -> tuple[str, ...]:
    """The values of `loss` that a section has."""
    names: tuple[str, ...] = get_args(section.model_fields["loss"].annotation)
    return names


def with_usual_loss(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an objective, with the loss that it has where none is named."""
    return {"loss": USUAL_LOSS, **values} if values.get("kind") == "preference" else values


def _losses_with(name: object) -> list[str]:
    """The losses that have a setting of this name."""
    owners = [section for section in PREFERENCES if name in section.model_fields]
    return [loss for section in owners for loss in losses_of(section) if section.one_loss.get(str(name), loss) == loss]
