"""The contract of a problem: it hides all that differs between problems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from configs.errors import InputError
from configs.schema import Supervised
from tasks.problems.types import (
    Adapt,
    AnswerCalibration,
    Autocast,
    DifferenceScale,
    EncodedRows,
    Example,
    Floats,
    Loss,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    TaskType,
    Writing,
    read_tokenizer,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, Trainer

    from tasks.problems.probing import Probe
    from tasks.problems.seq2seq import PairedTokenizer


class Measure(ABC):
    """The measure that the gate compares models by: scores of rows, and baselines. A problem's own, or its objective's.

    `text_columns` are read, and written, through the network's view of placeholders. `trivial_baseline` is the one that learns
    nothing from texts. `has_lexical`: some of its baselines need no network.
    """

    text_columns: ClassVar[tuple[str, ...]]
    trivial_baseline: ClassVar[str]
    has_lexical: ClassVar[bool] = False

    def read_rows(self, spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with the texts in them as this network reads and writes them."""
        return rows.assign(**{name: spec.read(rows[name].tolist()) for name in self.text_columns})

    @abstractmethod
    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        """Rows, read already, in their order: one line of scores each, and the metrics over all."""

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        """How large differences of primary scores are at the gate, where these are the targets of the compared rows."""
        return DifferenceScale()

    @abstractmethod
    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The score that the gate compares, of the frame of `score_rows`: (n,), higher is better.

        Where several rows have one score, as the documents of a query do, it stands in the first and the others have NaN.
        """

    def whole_units(self, frame: pd.DataFrame, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """(n,) the marked `rows` without those of units, of several rows with one score, that are not marked whole."""
        return rows

    def draw_rows(self, rows: pd.DataFrame, most: int) -> pd.DataFrame:
        """Rows to score in place of all, `most` of them, where their number does not move the metrics; none where it does."""
        return rows.sample(most, random_state=0) if len(rows) > most else rows

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        """The baselines that need no network, fitted to rows as networks read them; only where `has_lexical` says so."""
        return ()

    @abstractmethod
    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """All baselines, scored on the test rows; `network` is the base before any training, `lexical` comes from `fit_lexical`."""


class Problem(Measure):
    """A problem: all that differs between networks that are trained to do different things.

    `task_type` is peft's name for it; `base_class` and `finetuned_class` are the classes of transformers that load a base to
    train, and a model that was fine-tuned elsewhere (its table of architectures is `finetuned_table`). `needs_end_token`: a network
    has to learn where its answer ends; `is_causal`: it may see no later token. `sequences_per_row`: how many sequences of tokens a
    row is, each at most as long as its `input_ids`. `wanted_network` says what a base has to be.
    """

    task_type: ClassVar[TaskType]
    base_class: ClassVar[str]
    finetuned_class: ClassVar[str]
    finetuned_table: ClassVar[str]
    needs_end_token: ClassVar[bool] = True
    is_causal: ClassVar[bool] = False
    sequences_per_row: ClassVar[int] = 1
    wanted_network: ClassVar[str]

    # --- the network ---

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        """The spec with what its network has to know of the targets that it is fitted to, such as their labels."""
        return spec

    def with_rows(self, spec: Spec, rows: pd.DataFrame) -> Spec:
        """As `with_targets`, with what it has to know of the texts of its rows beside."""
        return self.with_targets(spec, rows["target"].tolist())

    def load_tokenizer(
        self, base: Path, target_tokenizer: str, languages: tuple[str, ...] = ()
    ) -> PreTrainedTokenizerBase | PairedTokenizer:
        """The tokenizer of a base; of a problem whose targets have another one, both, set to the languages of a `Spec`."""
        return read_tokenizer(base)

    def check_languages(self, base: Path, target_tokenizer: str, languages: tuple[str, ...]) -> None:
        """InputError where the tokenizers of a base cannot be set to the languages of a `Spec`, or need them named."""

    @abstractmethod
    def build_model(
        self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, adapt: Adapt
    ) -> tuple[nn.Module, Spec]:
        """The model on its base, its adapter in it, before any training; and its spec with the results of probing the base."""

    @abstractmethod
    def outline_model(self, spec: Spec, config: PretrainedConfig, adapt: Adapt) -> nn.Module:
        """The model without its head and, on torch's meta device, without its weights; `config` is the base's."""

    def used_part(self, model: PreTrainedModel) -> PreTrainedModel:
        """The part that is used of a model as `base_class` loads it."""
        return model

    def probed_part(self, model: PreTrainedModel) -> PreTrainedModel:
        """The part of it that takes token ids alone, and so can be probed."""
        return model

    def accepts_config(self, config: PretrainedConfig) -> bool:
        """Whether a base with this config can be of the kind that the problem needs."""
        return True

    @abstractmethod
    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        """InputError where a base with this probe cannot be trained for the problem."""

    def drops_pooler(self, base: Path, probe: Probe, *, trained: bool) -> bool:
        """Whether the base's pooler is left out; `trained`: it has weights for one."""
        return False

    def refuse_network(self, name: str) -> InputError:
        """The error for a base of another kind."""
        return InputError(f"model.base {name}: {self.wanted_network}")

    def model_logits(self, model: PreTrainedModel, ids: torch.Tensor) -> Any:
        """The logits of token ids (rows, tokens) under a whole model, as `finetuned_class` loads it."""
        return model(input_ids=ids, attention_mask=ids.new_ones(ids.shape)).logits

    # --- rows, as a network is trained on them ---

    @abstractmethod
    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Rows, read already, as token ids with their target; cut to `spec.max_length`."""

    @abstractmethod
    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        """Encoded rows -> one padded batch."""

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        """The loss of outputs and encoded targets, summed over rows (or tokens) and divided by those of the accumulated batch."""
        raise NotImplementedError(f"{type(self).__name__} makes its own trainer")

    def make_trainer(
        self,
        network: Network,
        rows: EncodedRows,
        objective: Supervised,
        settings: dict[str, object],
        extend: Callable[[type[Trainer]], type[Trainer]],
    ) -> Trainer:
        """The Trainer of rows with their answers, by `collator` and `loss_of`.

        `settings` are the arguments that all problems share, `extend` makes its class keep checkpoints as ours are.
        """
        from transformers import Trainer, TrainingArguments

        trainer = extend(Trainer)(
            model=network.model,
            args=TrainingArguments(**settings, label_names=["labels"]),
            train_dataset=rows.train,
            eval_dataset=rows.held_out or None,
            data_collator=self.collator(network),
            compute_loss_func=self.loss_of(network, rows, objective),
        )
        trainer._loss_shifts_labels = False  # targets stand beside their inputs: every one counts
        return trainer

    def calibrate(self, network: Network, held_out: list[Example], autocast: Autocast) -> AnswerCalibration:
        """What is fitted to encoded held-out rows, at least one, once the weights are there; nothing here."""
        return AnswerCalibration()

    # --- answers ---

    @abstractmethod
    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        """One answer a text, which is prepared and read as the network reads it; `writing` is how, where answers are texts."""
