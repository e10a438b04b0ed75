"""A kept model, loaded whole: the text preparation, tokens and weights that training saw, from an artifact and its base."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InfraError, InputError
from configs.schema import Decoding, facts_of
from tasks.common.bases import base_files, find_base, read_base
from tasks.common.files import atomic_folder, is_valid
from tasks.data.alignment import Alignment
from tasks.data.label_sets import labels_of
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.redaction.redact import OVER_BUDGET, Redactor
from tasks.data.spans import spans_of, write_entities
from tasks.learning.device import autocast, numerics
from tasks.learning.network import SPEC, TRAINABLE, build_network, read_spec, save_spec
from tasks.problems import problem_of
from tasks.problems.types import Network, NetworkAnswer, Spec, Writing
from tasks.serving.context_answers import answer_frame, place_for_caller
from tasks.serving.text_preparation import PreparedTexts, Recipe, prepare_with

if TYPE_CHECKING:
    import pandas as pd

PREPARATION = "preparation.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """How a raw text becomes what the model saw: normalised, and redacted where `entities` is not None, under that key."""

    layout: bool
    entities: tuple[str, ...] | None
    ner_model: str | None
    key_id: str | None
    base_uri: str
    new_tokens: int
    precision: str
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def writing(self) -> Writing:
        """How answers that are texts are written."""
        return Writing(self.new_tokens, self.decoding)

    def values(self) -> dict[str, object]:
        """All of it as JSON has it, without what stands at its default: packages of before did not name that."""
        plain: dict[str, object] = asdict(replace(self, decoding=Decoding()))
        decoding = self.decoding.model_dump(mode="json", exclude_defaults=True)
        return {name: value for name, value in plain.items() if name != "decoding"} | ({"decoding": decoding} if decoding else {})


@dataclass(frozen=True)
class PackagedModel:
    """A model ready to answer."""

    network: Network
    preparation: Preparation
    redactor: Redactor | None

    @property
    def recipe(self) -> Recipe:
        """How it prepares texts, for another process."""
        redactor, layout, places = self.redactor, self.preparation.layout, self._places
        if redactor is None:
            return Recipe(layout, None, places=places)
        return Recipe(layout, redactor.entities, redactor.key, redactor.ner_model, places)

    @property
    def _places(self) -> bool:
        facts = facts_of(self.network.spec.problem)
        return facts.has_spans or facts.finds_answers

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Normalise and redact, as in the snapshot: the form that is logged; the network reads its own view of it.

        InputError where the search of a text for personal data is over its budget.
        """
        prepared = self.prepare_each([str(text) for text in texts])
        if None in prepared:
            raise InputError(f"text {prepared.index(None) + 1} of {len(texts)}: {OVER_BUDGET}: leave it out")
        return [text for text in prepared if text is not None]

    def prepare_each(self, texts: Sequence[str]) -> list[str | None]:
        """As `prepare`, but None for a text over its budget; what is prepared already stays as it is."""
        raw = [text for text in texts if not isinstance(text, PreparedTexts)]
        fresh = iter(prepare_with(self.redactor, raw, layout=self.preparation.layout, places=self._places))
        return [text if isinstance(text, PreparedTexts) else next(fresh) for text in texts]

    def predict(self, texts: Sequence[str], batch_size: int = 64) -> pd.DataFrame:
        """Raw texts -> one line each, as `answer_table` has it."""
        return self.answer_table(texts, self.answer(texts, batch_size))

    def answer(self, texts: Sequence[str], batch_size: int = 64) -> list[NetworkAnswer]:
        """Raw texts -> one answer each, as it is logged and compared."""
        if not texts:
            return []
        how = autocast(numerics(self.preparation.precision))  # type: ignore[arg-type]
        problem, ready = problem_of(self.network.spec.problem), self.prepare(texts)
        answers = problem.answer_texts(self.network, ready, self.preparation.writing, batch_size, how)
        return [self.for_caller(*pair) for pair in zip(ready, answers, strict=True)]

    def for_caller(self, text: str, answer: NetworkAnswer) -> NetworkAnswer:
        """An answer to a prepared text, with what its caller is told where that is of the text that it was prepared from."""
        facts = facts_of(self.network.spec.problem)
        return (
            entities_for_caller(text, answer)
            if facts.has_spans
            else place_for_caller(text, answer)
            if facts.finds_answers
            else answer
        )

    def answer_table(self, texts: Sequence[str], answers: Sequence[NetworkAnswer]) -> pd.DataFrame:
        """One line an answer to a raw text.

        `label`, or `labels`, a list, and `score`, its probability; `entities`, a list of {label, start, end, score} in characters
        of the raw text, and `score`; `answer`, a stretch of the context from character `start` to `end`, and `score` (empty, -1 and
        -1 where there is none); `number`; or `text`, the answer.
        """
        import pandas as pd

        predictions, facts = [answer.prediction for answer in answers], facts_of(self.network.spec.problem)
        if facts.finds_answers:
            return answer_frame(texts, answers)
        if facts.has_spans:
            entities = [json.loads(answer.raw or "[]") for answer in answers]
            return pd.DataFrame({"entities": entities, "score": [answer.score for answer in answers]})
        if facts.has_labels:
            columns = {"label": predictions} if facts.has_classes else {"labels": [list(labels_of(each)) for each in predictions]}
            return pd.DataFrame({**columns, "score": [answer.score for answer in answers]})
        if facts.is_number:
            return pd.DataFrame({"number": [float(prediction) for prediction in predictions]})
        return pd.DataFrame({"text": predictions})


def entities_for_caller(text: str, answer: NetworkAnswer) -> NetworkAnswer:
    """An answer of spans to a prepared text, with those as its caller is told them: in the text that it was prepared from."""
    alignment = text.alignment if isinstance(text, PreparedTexts) else Alignment()
    spans = [(*alignment.back(start, end), label) for start, end, label in spans_of(answer.prediction)]
    return answer._replace(raw=write_entities(spans, answer.parts))


def save_package(result: Path, spec: Spec, preparation: Preparation, target: Path) -> Path:
    """Write the artifact folder of a finished training: moved weights, network, preparation; whole or not at all."""
    with atomic_folder(target) as aside:
        os.link(result / TRAINABLE, aside / TRAINABLE)
        save_spec(spec, aside)
        (aside / PREPARATION).write_text(json.dumps(preparation.values(), indent=1, sort_keys=True))
    return target


def read_preparation(folder: Path) -> Preparation:
    """As `save_package` wrote it; packages of before were decoded greedily, and do not say so."""
    values = json.loads((folder / PREPARATION).read_text())
    entities = None if values["entities"] is None else tuple(values["entities"])
    return Preparation(**{**values, "entities": entities, "decoding": Decoding.model_validate(values.get("decoding", {}))})


def local_base(spec: Spec, home: Path) -> Path | None:
    """The base's folder on this machine if its hash is right: in the home's cache, or where the config's name leads."""
    cached = home / "bases" / spec.base_digest
    for find in (
        partial(read_base, cached, spec.base_name, target_tokenizer=spec.target_tokenizer),
        partial(find_base, spec.base_name, target_tokenizer=spec.target_tokenizer),
    ):
        try:
            base = find()
        except InputError:
            continue
        if base.digest == spec.base_digest:
            return base.path
    return None


def adopt_base(spec: Spec, fetched: Path, home: Path) -> Path:
    """Put a downloaded base into the home's cache; another base than the one the model was trained on is refused."""
    base = read_base(fetched, spec.base_name, None, spec.target_tokenizer)
    if base.digest != spec.base_digest:
        raise InputError(
            f"the base stored for {spec.base_name} has digest {base.digest}, the model was trained on {spec.base_digest}: refused; "
            "restore the stored one from a copy, or put the right base where its name leads"
        )
    target = home / "bases" / spec.base_digest
    with atomic_folder(target) as aside:
        for file in base_files(fetched, spec.target_tokenizer):
            copy = aside / file.relative_to(fetched)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, copy)
    return target


def load_package(folder: Path, base: Path, home: Path, environment: Mapping[str, str] = os.environ) -> PackagedModel:
    """Build the model of an artifact folder on its base.

    Redaction needs the installation's key for placeholders to be the ones seen in training; with another key they are typed alike
    but tagged otherwise, which is said once. Raises InfraError where a file is not as it was stored.
    """
    if fault := is_valid(folder, frozenset({TRAINABLE, SPEC, PREPARATION})):
        raise InfraError(f"the stored model {folder}: {fault}: fetch it again, or roll back to another version")
    spec, preparation = read_spec(folder), read_preparation(folder)
    network = build_network(spec, base, folder / TRAINABLE)
    network.model.eval()
    if preparation.entities is None:
        return PackagedModel(network, preparation, None)
    key = redaction_key(home, environment)
    if key_id(key) != preparation.key_id:
        log.warning(
            "redaction key %s is not the one of training, %s: placeholders differ in their tags", key_id(key), preparation.key_id
        )
    return PackagedModel(network, preparation, Redactor(preparation.entities, key, preparation.ner_model))
