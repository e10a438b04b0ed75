"""Names, places and organisations by a token-classification model, where the config names one: patterns cannot find them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from tasks.data.redaction.patterns import Span

if TYPE_CHECKING:
    from transformers import TokenClassificationPipeline

_KINDS = {"PER": "PERSON", "PERSON": "PERSON", "LOC": "LOCATION", "LOCATION": "LOCATION", "GPE": "LOCATION", "ORG": "ORGANIZATION"}
_KINDS |= {"ORGANIZATION": "ORGANIZATION", "ORGANISATION": "ORGANIZATION", "FAC": "LOCATION"}
_SURE = 0.5


class NameFinder:
    """A transformers token-classification pipeline, its labels brought to ours; long texts are read in overlapping windows."""

    def __init__(self, model: str, entities: Sequence[str]) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
        from transformers.utils import logging

        logging.disable_progress_bar()

        try:
            network = AutoModelForTokenClassification.from_pretrained(model)
            tokenizer = AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError) as error:
            place = "folder" if Path(model).exists() else "name"
            raise InputError(
                f"data.redact.ner_model {model}: cannot be loaded ({str(error)[:200]}): correct the {place}"
            ) from error
        self.entities = frozenset(entities)
        labels = {_entity_kind(label) for label in network.config.id2label.values()}
        if not labels & self.entities:
            raise InputError(
                f"data.redact.ner_model {model}: none of its labels is one of {', '.join(sorted(self.entities))}: take another"
            )
        window = min(tokenizer.model_max_length, getattr(network.config, "max_position_embeddings", 512), 512)
        tokenizer.model_max_length = window
        self._pipeline: TokenClassificationPipeline = pipeline(
            "ner", model=network, tokenizer=tokenizer, aggregation_strategy="simple", stride=window // 4
        )

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """The spans of each text, of the configured kinds."""
        results = self._pipeline([text or " " for text in texts], batch_size=32)
        return [[span for entity in entities if (span := self._name_span(entity)) is not None] for entities in results]

    def _name_span(self, entity: dict[str, Any]) -> Span | None:
        kind = _entity_kind(entity["entity_group"])
        if kind not in self.entities or entity["score"] < _SURE or entity["start"] >= entity["end"]:
            return None
        return Span(int(entity["start"]), int(entity["end"]), kind, float(entity["score"]))


def _entity_kind(label: str) -> str:
    return _KINDS.get(label.removeprefix("B-").removeprefix("I-").upper(), "")
