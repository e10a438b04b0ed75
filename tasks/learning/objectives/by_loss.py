"""The objectives of preference beside DPO and its kin, by their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from configs import schema

if TYPE_CHECKING:
    from tasks.learning.objectives.base import Objective

    OtherLoss = schema.AnchoredPreference | schema.OddsRatioPreference | schema.SimplePreference | schema.ThumbPreference


def objective_by_loss(settings: OtherLoss) -> Objective:
    """The objective of these settings."""
    match settings:
        case schema.AnchoredPreference():
            from tasks.learning.objectives.anchored import AnchoredObjective

            return AnchoredObjective(settings)
        case schema.OddsRatioPreference():
            from tasks.learning.objectives.odds_ratio import OddsRatioObjective

            return OddsRatioObjective(settings)
        case schema.SimplePreference():
            from tasks.learning.objectives.simple_preference import SimplePreferenceObjective

            return SimplePreferenceObjective(settings)
        case schema.ThumbPreference():
            from tasks.learning.objectives.thumbs import ThumbObjective

            return ThumbObjective(settings)
        case _:
            assert_never(settings)
