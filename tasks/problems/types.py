"""Inputs and results of a problem: a network with its spec, rows to train on and to score, answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from configs.errors import InputError
from configs.schema import Adapter, Decoding, Evaluation, ProblemName
from tasks.data.redaction.placeholders import TAGGED, network_view
from tasks.problems.class_scores import ClassScores, class_probabilities

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.classifier import Pooling

Floats = npt.NDArray[np.float64]
TaskType = Literal["FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM"]  # peft's names
Example = dict[str, Any]  # a row as a Trainer reads it: "input_ids", and "labels" where it has a target
Adapt = Callable[["nn.Module"], "nn.Module"]  # puts a spec's adapter into a base
Autocast = Callable[[], "AbstractContextManager[object]"]  # a fresh context of the precision to compute in
Loss = Callable[..., "torch.Tensor"]  # (outputs, labels, num_items_in_batch: those of the accumulated batch) -> a scalar
EARLIER: Literal["earlier"] = "earlier"  # the pooling of a stored network that does not name it: as the rule of its day has it


@dataclass(frozen=True)
class Spec:
    """The description that rebuilds a network from its base and the moved weights; stored as JSON with every artifact.

    `temperature` divides a classifier's logits; versions from before it was fitted have 1. `shares` are the class shares towards
    which it draws them, of sets of labels the shares of rows that each head begins with; versions from before have none.
    `head`: new, a linear head of ours on a base; own, the base's own head, as an adopted model has it: no weight of it moves.
    `labels` are spelled canonically, and so compared; `spellings` are those that a network of an earlier version answers with,
    where it was stored with others. `text_view` is what it reads of placeholders (`tasks/data/redaction/placeholders.py`).
    """

    problem: ProblemName
    adapter: dict[str, object]
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
    pooling: Pooling | Literal["earlier"] | None = None  # of a classifier; None: its base is probed
    thresholds: tuple[float, ...] = ()  # the probability from which each label of a set is answered, or the one log-odds of answers
    whole_words: bool = False  # of spans: each begins and ends where a word does
    location: float = 0.0  # of numbers: a logit of 0 stands for it, and one of 1 for a `spread` more
    spread: float = 1.0
    longest_answer: int = 0  # of answers that stand in a text: their characters, at the most
    target_tokenizer: str = ""  # the folder within the base with the tokenizer of targets, where that is another one
    messages: bool = False  # whether it was trained on conversations, which its tokenizer's template writes
    languages: tuple[str, ...] = ()  # the codes of what is read and of what is written, as the config names them

    @property
    def answers(self) -> tuple[str, ...]:
        """The labels as callers of the service know them."""
        return self.spellings or self.labels

    def scores(self, logits: npt.NDArray[np.float32], labels: Sequence[str]) -> ClassScores:
        """The calibrated probabilities of a classifier's logits (n, labels); `labels` are its own, as the caller knows them."""
        return class_probabilities(logits, labels, self.temperature, self.shares)

    def read(self, texts: Sequence[str]) -> list[str]:
        """Texts as this network reads them."""
        return network_view(texts, self.text_view)

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


@dataclass(frozen=True)
class EncodedRows:
    """The rows that a network is trained on, and those held out, as a Trainer reads them."""

    train: list[Example]
    held_out: list[Example]


@dataclass(frozen=True)
class Writing:
    """How an answer is written: its tokens at the most, and how each is chosen."""

    new_tokens: int
    decoding: Decoding = field(default_factory=Decoding)


@dataclass(frozen=True)
class Scoring:
    """How rows are scored: the config's section, and the precision to compute in."""

    evaluation: Evaluation
    autocast: Autocast

    def without_text(self) -> Scoring:
        """The same, without writing answers."""
        return replace(self, evaluation=self.evaluation.model_copy(update={"decode_rows": 0}))


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Per-example scores, the metrics over all of them, and the probabilities where rows have classes.

    `signatures` say of metrics by name how they were computed, where a library has a notation for it.
    """

    frame: pd.DataFrame
    metrics: dict[str, float]
    class_scores: ClassScores | None = None
    signatures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ScoredBaseline:
    """A baseline: its primary score per test row, higher is better, and its metrics.

    One that writes texts and gives none a likelihood has no such scores: it is shown, and no opponent at the gate.
    """

    name: str
    scores: Floats | None
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, eq=False)
class ScoredBaselines:
    """All baselines; `points` are the untuned base's mean embeddings of the test rows (n, d), where one of them needed those."""

    each: tuple[ScoredBaseline, ...]
    points: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class AnswerCalibration:
    """What is fitted to held-out rows once the weights are there: a temperature, or thresholds; see `Spec`."""

    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True)
class DifferenceScale:
    """How large differences of two models' primary scores are, row by row.

    `scale` is the size of a typical score, which margins that a config leaves out are shares of. A row's difference counts as
    `largest` at most; None where a row is right or wrong.
    """

    scale: float = 1.0
    largest: float | None = None


class NetworkAnswer(NamedTuple):
    """A network's answer to one text: a label, a text or places in it, and its probability where it has one; of spans each one's
    too."""

    prediction: str
    score: float | None
    parts: tuple[float, ...] = ()
    raw: str | None = None  # of places, once they are put into the caller's text: as tasks/data/spans.py or answers.py write them


def padding_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that pads a batch; any will do, as no network attends to it."""
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(pad_id or 0)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder; InputError where it could not pad a batch."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is None:
        raise InputError(
            f"model.base {folder}: its tokenizer has neither a padding nor an end token: add one to tokenizer_config.json"
        )
    return tokenizer


def stored_columns(rows: pd.DataFrame) -> list[str]:
    """The columns of rows that per-example scores keep: a row's id, target, time, group and slices, not its input text."""
    return [name for name in rows.columns if name in ("id", "target", "time", "group") or name.startswith("slice_")]
