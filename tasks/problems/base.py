"""The contract of a problem, and what it is asked with: a network with its spec, rows to score, answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from configs.errors import InputError
from configs.schema import Adapter, Evaluation, ProblemName, Supervised
from tasks.data.redaction.placeholders import TAGGED, network_view
from tasks.problems.class_scores import ClassScores, class_probabilities

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from tasks.problems.classifier import Pooling
    from tasks.problems.probing import Probe

Floats = npt.NDArray[np.float64]
TaskType = Literal["FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM"]  # as peft calls what a network does
Example = dict[str, Any]  # a row as a Trainer reads it: "input_ids", and "labels" where it has a target
Adapt = Callable[[Any], Any]  # puts a spec's adapter into a base
Autocast = Callable[[], Any]  # a fresh context of the precision to compute in
EARLIER: Literal["earlier"] = "earlier"  # the pooling of a stored network that does not name it: as the rule of its day has it


@dataclass(frozen=True)
class Spec:
    """All that is needed, beside the base and the moved weights, to build a network again; stored as JSON with every artifact.

    `temperature` divides a classifier's logits; versions from before it was fitted have 1. `shares` are the class shares towards
    which it draws them; versions from before have none.
    `head`: new, a linear head of ours on a base; own, the base's own head, as an adopted model has it: no weight of it moves.
    `labels` are spelled canonically, and so compared; `spellings` are those that a network of an earlier version answers with,
    where it was stored with others. `text_view` is what it reads of placeholders (`tasks/data/redaction/placeholders.py`).
    """

    problem: ProblemName
    adapter: dict[str, Any]
    labels: tuple[str, ...]
    max_length: int
    seed: int
    base_name: str
    base_weights: str
    base_digest: str
    temperature: float = 1.0
    shares: tuple[float, ...] = ()
    head: Literal["new", "own"] = "new"
    text_view: int = TAGGED
    spellings: tuple[str, ...] = ()
    pooling: Pooling | Literal["earlier"] | None = None  # of a classifier; None: its base is asked
    target_tokenizer: str = ""  # the folder within the base with the tokenizer of targets, where that is another one

    @property
    def answers(self) -> tuple[str, ...]:
        """The labels as callers of the service know them."""
        return self.spellings or self.labels

    def scores(self, logits: Any, labels: Sequence[str]) -> ClassScores:
        """What a classifier's logits (n, labels) say, calibrated; `labels` are its own, as the caller knows them."""
        return class_probabilities(logits, labels, self.temperature, self.shares)

    def read(self, texts: Sequence[str]) -> list[str]:
        """Texts as this network reads them."""
        return network_view(texts, self.text_view)

    def pooled(self, pooling: Pooling) -> Spec:
        """The same, with the pooling that its base was found to have."""
        return replace(self, pooling=pooling)

    @property
    def moves(self) -> Adapter:
        """The adapter as the config knows it."""
        return TypeAdapter[Adapter](Adapter).validate_python(self.adapter)


@dataclass(frozen=True)
class Network:
    """A model in memory with its tokenizer; one that names classes has `embed` and a head over `spec.labels`."""

    spec: Spec
    model: Any
    tokenizer: Any
    pad_id: int


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Per-example scores, the metrics over all of them, and the probabilities where rows have classes."""

    frame: pd.DataFrame
    metrics: dict[str, float]
    class_scores: ClassScores | None = None


@dataclass(frozen=True, eq=False)
class ScoredBaseline:
    """A baseline: its primary score per test row, higher is better, and its metrics."""

    name: str
    scores: Floats
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, eq=False)
class ScoredBaselines:
    """All baselines; `points` are the untuned base's mean embeddings of the test rows (n, d), where one of them needed those."""

    each: tuple[ScoredBaseline, ...]
    points: npt.NDArray[np.float32] | None = None


class NetworkAnswer(NamedTuple):
    """What a network answers one text: a label or a text, and its probability where it has one."""

    prediction: str
    score: float | None


class Problem(ABC):
    """What a network is trained to do: everything that differs from one problem to another.

    `task_type` is peft's word for it; `base_class` and `finetuned_class` are the classes of transformers that load a base to
    train, and a model that was fine-tuned elsewhere (its table of architectures is `finetuned_table`). `text_columns` are read, and
    written, through the network's view of placeholders. `trivial_baseline` is the one that has learned nothing from any text.
    `largest_difference` is the most that two models' primary scores of one row may differ by at the gate; None where a row is
    right or wrong. `needs_end_token`: a network has to learn where its answer ends; `is_causal`: it may see no later token.
    `wanted_network` says what a base has to be.
    """

    task_type: ClassVar[TaskType]
    base_class: ClassVar[str]
    finetuned_class: ClassVar[str]
    finetuned_table: ClassVar[str]
    text_columns: ClassVar[tuple[str, ...]]
    trivial_baseline: ClassVar[str]
    largest_difference: ClassVar[float | None] = None
    needs_end_token: ClassVar[bool] = True
    is_causal: ClassVar[bool] = False
    wanted_network: ClassVar[str]

    # --- the network ---

    def load_tokenizer(self, base: Path, target_tokenizer: str) -> Any:
        """The tokenizer of a base; of a problem whose targets have another one, both."""
        return read_tokenizer(base)

    @abstractmethod
    def build_model(self, spec: Spec, base: Path, tokenizer: Any, adapt: Adapt) -> tuple[nn.Module, Spec]:
        """The model on its base, its adapter in it, before any training; and its spec with what the base was asked."""

    @abstractmethod
    def outline_model(self, spec: Spec, config: Any, adapt: Adapt) -> nn.Module:
        """The model without its head and, on torch's meta device, without its weights; `config` is the base's."""

    def used_part(self, model: Any) -> Any:
        """Of a model as `base_class` loads it the part that is used."""
        return model

    def probed_part(self, model: Any) -> Any:
        """Of the part that is used the one that takes token ids alone, and so can be asked what it sees."""
        return model

    def accepts_config(self, config: Any) -> bool:
        """Whether a base with this config can be of the kind that is wanted."""
        return True

    @abstractmethod
    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        """InputError where a base that has answered like this cannot be trained for the problem."""

    def drops_pooler(self, base: Path, probe: Probe, *, trained: bool) -> bool:
        """Whether the base's pooler is left out; `trained`: it has weights for one."""
        return False

    def refuse_network(self, name: str) -> InputError:
        """The refusal of a base that is of another kind."""
        return InputError(f"model.base {name}: {self.wanted_network}")

    def first_logits(self, model: Any, ids: Any) -> Any:
        """The logits of token ids (rows, tokens) under a whole model, as `finetuned_class` loads it."""
        return model(input_ids=ids, attention_mask=ids.new_ones(ids.shape)).logits

    # --- rows, as a network reads them and as it is trained on them ---

    def read_rows(self, spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with the texts in them as this network reads and writes them."""
        return rows.assign(**{name: spec.read(rows[name].tolist()) for name in self.text_columns})

    @abstractmethod
    def encode_rows(self, tokenizer: Any, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Rows, read already, as token ids with their target; cut to `spec.max_length`."""

    @abstractmethod
    def make_trainer(
        self, network: Network, rows: list[Example], held_out: list[Example], objective: Supervised, settings: dict[str, Any],
        extend: Callable[[Any], Any],
    ) -> Any:  # fmt: skip
        """The Trainer of rows with their answers; `settings` are the arguments that all problems share, `extend` makes its class
        keep checkpoints as ours are."""

    # --- scores ---

    @abstractmethod
    def score_rows(self, network: Network, rows: pd.DataFrame, evaluation: Evaluation, autocast: Autocast) -> ScoredRows:
        """Rows, read already, in their order: one line of scores each, and the metrics over all."""

    @abstractmethod
    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """What the gate compares, of the frame of `score_rows`: (n,), higher is better."""

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Any, ...]:
        """The baselines that need no network, fitted to rows as networks read them."""
        return ()

    @abstractmethod
    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[Any], evaluation: Evaluation,
        autocast: Autocast,
    ) -> ScoredBaselines:  # fmt: skip
        """All baselines, scored on the test rows; `network` is the base before any training, `lexical` what `fit_lexical` gave."""

    # --- answers ---

    @abstractmethod
    def answer_texts(
        self, network: Network, texts: Sequence[str], new_tokens: int, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        """One answer a text, which is prepared and read as the network reads it; `new_tokens` is the longest written one."""


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder; InputError where it could not fill up a batch."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is None:
        raise InputError(
            f"model.base {folder}: its tokenizer has neither a padding nor an end token: add one to tokenizer_config.json"
        )
    return tokenizer


def padding_token(tokenizer: Any) -> int:
    """The token that fills up a batch; what attends to none of it does not care which it is."""
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(pad_id or 0)


def stored_columns(rows: pd.DataFrame) -> list[str]:
    """The columns of rows that per-example scores keep: who a row is and what it belongs to, not what was read."""
    return [name for name in rows.columns if name in ("id", "target", "time", "group") or name.startswith("slice_")]
