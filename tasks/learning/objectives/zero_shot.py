"""The zero-shot objective: classes are told apart by their names alone, as the base embeds them; nothing is trained.

The honest first day of a pipeline, before there are rows to learn from, and an opponent for those that learn. It wants a base whose
vectors of texts are alike where their meanings are, as sentence encoders have (Yin et al. 2019, arXiv:1909.00161, call it
label-fully-unseen).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError
from configs.schema import Supervised, ZeroShot
from tasks.learning.device import Numerics, autocast
from tasks.learning.head_start import LinearHead, set_head
from tasks.learning.objectives.supervised import BATCH, SupervisedObjective
from tasks.problems.classifier import encode_texts, run_in_batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from configs.schema import Training
    from tasks.learning.trainer import FitPlan
    from tasks.problems.types import Example, Network, Spec

SCALE = 20.0  # of cosines: the inverse temperature of sentence-transformers' losses, until one is fitted to held-out rows
MEASURED = 256  # training rows whose vectors say how long vectors are
_BREAKS = re.compile(r"[_\-/]+|(?<=[a-z])(?=[A-Z])")


class ZeroShotObjective(SupervisedObjective):
    """A head of the vectors of the labels' names; its temperature is fitted to the held-out rows, as a trained one's is."""

    trains = ZeroShot.trains

    def __init__(self, settings: ZeroShot) -> None:
        super().__init__(Supervised())
        self.descriptions = settings.descriptions

    def check_rows(self, spec: Spec, held_out: pd.DataFrame) -> None:
        super().check_rows(spec, held_out)
        if unknown := sorted(set(self.descriptions) - set(spec.labels)):
            raise InputError(
                f"objective.descriptions: no training row is labelled {', '.join(f'`{label}`' for label in unknown[:5])}: the "
                f"labels are {', '.join(f'`{label}`' for label in spec.labels[:10])}"
            )

    def folds_of(
        self, spec: Spec, training: Training, rows: pd.DataFrame, held_out: pd.DataFrame
    ) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        return []

    def begin_network(self, network: Network, examples: list[Example], how: Numerics) -> Network:
        texts = network.spec.read(label_texts(network.spec.labels, self.descriptions))
        names = _vectors(network, encode_texts(network.tokenizer, texts, network.spec.max_length), how)
        rows = _vectors(network, [row["input_ids"] for row in examples[:MEASURED]], how)
        set_head(network.model, nearest_name_head(names, rows))
        return network

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        return plan


def label_texts(labels: Sequence[str], descriptions: Mapping[str, str]) -> list[str]:
    """What is embedded for each label: its description, or its own words, parted where programs join them (`order_status`)."""
    return [descriptions.get(label) or " ".join(_BREAKS.sub(" ", label).split()) for label in labels]


def nearest_name_head(names: npt.NDArray[np.float32], rows: npt.NDArray[np.float32]) -> LinearHead:
    """A head whose logits are SCALE times the cosines of a text's vector and `names` (labels, width), if as long as `rows`."""
    units = names / np.maximum(np.linalg.norm(names, axis=1, keepdims=True), 1e-12)
    length = max(float(np.linalg.norm(rows, axis=1).mean()), 1e-12)
    return LinearHead((SCALE / length * units).astype(np.float32), np.zeros(len(names), np.float32))


def _vectors(network: Network, ids: list[list[int]], how: Numerics) -> npt.NDArray[np.float32]:
    return run_in_batches(network.model, ids, network.pad_id, BATCH, autocast(how), embeddings=True)
