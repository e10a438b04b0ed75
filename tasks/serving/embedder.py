"""The vectors of texts by a version that answers, in the form that the batcher takes answers in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.serving.batcher import Prediction

if TYPE_CHECKING:
    from tasks.serving.predictor import ReadyModel
    from tasks.serving.text_preparation import Recipe


@dataclass(frozen=True)
class Embedder:
    """Gives texts their vectors: each answer is one, packed, and its score the number of tokens that were read."""

    model: ReadyModel

    @property
    def version(self) -> str:
        return self.model.version

    @property
    def recipe(self) -> Recipe | None:
        return self.model.recipe

    def answers(self, texts: Sequence[str]) -> list[Prediction | None]:
        """One vector a text, in their order; None for a text whose search for personal data is over its budget."""
        prepared = self.model.kept.prepare_each(texts)
        ready = [text for text in prepared if text is not None]
        vectors, tokens = self.model.vectors(ready) if ready else (np.empty((0, 0), np.float32), [])
        packed = iter(Prediction(*each) for each in zip(ready, map(pack_vector, vectors), map(float, tokens), strict=True))
        return [None if text is None else next(packed) for text in prepared]


def pack_vector(vector: npt.NDArray[np.float32]) -> str:
    """A vector (d,) as base64 of its little-endian 32-bit floats."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def unpack_vector(packed: str) -> list[float]:
    """The numbers of a packed vector."""
    values: list[float] = np.frombuffer(base64.b64decode(packed), "<f4").tolist()
    return values
