"""Build the network that a pipeline trains, scores and serves, from its base and the weights that moved."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_never

from pydantic import TypeAdapter

from configs.errors import InputError
from configs.schema import Adapter, ProblemName
from tasks.common.bases import Base, earlier_pooling_of, pooling_of
from tasks.data.labels import canonical_labels
from tasks.data.redaction.placeholders import TAGGED, VIEW, network_view
from tasks.learning import adapters
from tasks.problems import text_classification, text_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import nn

TRAINABLE = "trainable.safetensors"
SPEC = "network.json"
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
    pooling: text_classification.Pooling | Literal["earlier"] | None = None  # of a classifier; None: its base is asked

    @property
    def answers(self) -> tuple[str, ...]:
        """The labels as callers of the service know them."""
        return self.spellings or self.labels

    def scores(self, logits: Any, labels: Sequence[str]) -> text_classification.ClassScores:
        """What a classifier's logits (n, labels) say, calibrated; `labels` are its own, as the caller knows them."""
        return text_classification.class_probabilities(logits, labels, self.temperature, self.shares)

    def read(self, texts: Sequence[str]) -> list[str]:
        """Texts as this network reads them."""
        return network_view(texts, self.text_view)

    def read_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with texts, and targets that are texts, as this network reads and writes them."""
        columns = ("text",) if self.problem == "text-classification" else ("text", "target")
        return rows.assign(**{name: self.read(rows[name].tolist()) for name in columns})

    @property
    def moves(self) -> Adapter:
        """The adapter as the config knows it."""
        return TypeAdapter[Adapter](Adapter).validate_python(self.adapter)


@dataclass(frozen=True)
class Network:
    """A model in memory with its tokenizer; for text-classification the model has `embed` and a head over `spec.labels`."""

    spec: Spec
    model: Any
    tokenizer: Any
    pad_id: int


def spec_of(problem: ProblemName, adapter: Adapter, labels: tuple[str, ...], max_length: int, seed: int, base: Base) -> Spec:
    """The description of a network yet to be built."""
    return Spec(
        problem, adapter.model_dump(mode="json"), labels, max_length, seed, base.name, base.weights, base.digest, text_view=VIEW
    )


def build_network(spec: Spec, base: Path, moved: Path | None = None) -> Network:
    """The network at its seeded start, or with the weights of `moved` (a trainable.safetensors) in it."""
    import torch

    tokenizer = load_tokenizer(base)
    torch.manual_seed(spec.seed)
    match spec.problem:
        case "text-classification" if spec.head == "own":
            model = text_classification.load_classifier(base, _padding(tokenizer))
        case "text-classification":
            encoder, hidden, pooling = _load_encoder(spec, base)
            adapted = adapters.add_adapter(encoder, spec.moves, "FEATURE_EXTRACTION")
            model = text_classification.build_classifier(adapted, hidden, len(spec.labels), pooling)
            spec = spec if spec.pooling == EARLIER else replace(spec, pooling=pooling)
        case "text-generation":
            model = adapters.add_adapter(text_generation.load_decoder(base), spec.moves, "CAUSAL_LM")
        case _:
            assert_never(spec.problem)
    if spec.head == "own":
        model.requires_grad_(False)
    if moved is not None:
        adapters.load_trainable(model, moved)
    return Network(spec, model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer, _padding(tokenizer))


def _padding(tokenizer: Any) -> int:
    """The token that fills up a batch; what attends to none of it does not care which it is."""
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(pad_id or 0)


def _load_encoder(spec: Spec, base: Path) -> tuple[nn.Module, int, text_classification.Pooling]:
    if spec.pooling == EARLIER:
        return text_classification.load_earlier_encoder(base, earlier_pooling_of(base))
    return text_classification.load_encoder(base, spec.pooling or pooling_of(base))


def refuse_blind(network: Network) -> None:
    """Refuse to train on a network that pools the first token and sees no later one: all texts that begin alike are alike to it.

    Versions of before may be such; what starts from their weights would stay so.
    """
    from tasks.problems.probing import probe_network

    if (
        network.spec.problem == "text-classification"
        and network.model.pooling == "first"
        and probe_network(network.model.encoder).causal
    ):
        raise InputError(
            "training.start: the champion reads nothing but the first token of a text, as its base sees no later token there: "
            "set training.start=base"
        )


def outline_network(spec: Spec, base: Path) -> nn.Module:
    """The network without its weights (torch's meta device) and its head: what it would need, before anything is loaded."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        match spec.problem:
            case "text-classification":
                network = AutoModel.from_config(config, dtype=torch.float32)
                if config.is_encoder_decoder and spec.pooling != EARLIER:
                    network = network.get_encoder()
                return adapters.add_adapter(network, spec.moves, "FEATURE_EXTRACTION")
            case "text-generation":
                return adapters.add_adapter(AutoModelForCausalLM.from_config(config, dtype=torch.float32), spec.moves, "CAUSAL_LM")
            case _:
                assert_never(spec.problem)


def warm_up() -> None:
    """Import what `build_network` will: seconds that a process can spend while it waits for its work."""
    import peft  # noqa: F401
    import safetensors.torch  # noqa: F401
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from transformers.models.bert import modeling_bert  # noqa: F401  (the commonest; another is imported when it is met)


def save_spec(spec: Spec, folder: Path) -> None:
    """Beside the weights."""
    (folder / SPEC).write_text(json.dumps(asdict(spec), indent=1, sort_keys=True))


def read_spec(folder: Path) -> Spec:
    """As `save_spec` wrote it.

    A file of an earlier version names neither the view nor the pooling, keeps the rules of its day, and may spell its labels
    otherwise.
    """
    values = json.loads((folder / SPEC).read_text())
    earlier = {} if "pooling" in values else {"pooling": EARLIER}
    spec = spec_from(values | earlier)
    labels = canonical_labels(spec.labels)
    return spec if labels == spec.labels else replace(spec, labels=labels, spellings=spec.labels)


def spec_from(values: Mapping[str, Any]) -> Spec:
    """A description from its JSON, which knows no tuples."""
    tuples = {name: tuple(values.get(name, ())) for name in ("labels", "spellings", "shares")}
    return Spec(**{**values, **tuples})


def load_tokenizer(base: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is None:
        raise InputError(
            f"model.base {base}: its tokenizer has neither a padding nor an end token: add one to tokenizer_config.json"
        )
    return tokenizer
