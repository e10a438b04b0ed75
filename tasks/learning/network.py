"""Build the network that a pipeline trains, scores and serves, from its base and the weights that moved."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Adapter, ProblemName
from tasks.common.bases import Base
from tasks.data.labels import canonical_labels
from tasks.data.redaction.placeholders import VIEW
from tasks.learning import adapters
from tasks.problems import problem_of
from tasks.problems.types import EARLIER, Network, Spec, padding_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from tasks.problems.types import Adapt

TRAINABLE = "trainable.safetensors"
SPEC = "network.json"


def spec_of(problem: ProblemName, adapter: Adapter, labels: tuple[str, ...], max_length: int, seed: int, base: Base) -> Spec:
    """The description of a network yet to be built."""
    return Spec(
        problem, adapter.model_dump(mode="json"), labels, max_length, seed, base.name, base.weights, base.digest, text_view=VIEW,
        target_tokenizer=base.target_tokenizer,
    )  # fmt: skip


def build_network(spec: Spec, base: Path, moved: Path | None = None) -> Network:
    """The network at its seeded start, or with the weights of `moved` (a trainable.safetensors) in it."""
    import torch

    problem = problem_of(spec.problem)
    tokenizer = problem.load_tokenizer(base, spec.target_tokenizer, spec.languages)
    torch.manual_seed(spec.seed)
    model, spec = problem.build_model(spec, base, tokenizer, adapter_of(spec))
    if spec.head == "own":
        model.requires_grad_(False)
    if moved is not None:
        adapters.load_trainable(model, moved)
    return Network(spec, model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer, padding_token(tokenizer))


def refuse_blind(network: Network) -> None:
    """Refuse to train a network that pools the first token and sees no later one: to it all texts that begin alike are equal.

    Earlier versions may be such; a training from their weights would stay so.
    """
    from tasks.problems.probing import probe_network

    if getattr(network.model, "pooling", None) == "first" and probe_network(network.model.encoder).causal:
        raise InputError(
            "training.start: the champion reads nothing but the first token of a text, as its base sees no later token there: "
            "set training.start=base"
        )


def outline_network(spec: Spec, base: Path) -> nn.Module:
    """The network without its weights (torch's meta device) and its head: to tell what it needs before anything is loaded."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return problem_of(spec.problem).outline_model(spec, config, adapter_of(spec))


def adapter_of(spec: Spec) -> Adapt:
    """The function that puts the adapter of a spec into a base."""
    return partial(adapters.add_adapter, adapter=spec.moves, task=problem_of(spec.problem).task_type)


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
    names = ("labels", "spellings", "shares", "thresholds", "languages")
    tuples = {name: tuple(values.get(name, ())) for name in names}
    return Spec(**{**values, **tuples})
