"""Checks within seconds that a base can be trained as the config asks: from files, headers, and a small network of its kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Adapter, BitFit, LastLayers, LayerAdapter, ProblemName, VirtualTokens
from tasks.common.bases import Base
from tasks.learning import adapters
from tasks.learning.base_files import FETCH, check_tokenizer_files, read_config, read_shapes
from tasks.learning.base_tokenizer import check_embedded, usable_tokenizer
from tasks.learning.base_weights import first_names, fitting_network
from tasks.problems import problem_of
from tasks.problems.conversations import check_template
from tasks.problems.library_errors import REFUSALS, first_line

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig

    from tasks.problems.base import Problem
    from tasks.problems.probing import Probe

NAMED = 8  # modules that one message names


def check_base(
    base: Base, problem: ProblemName, max_length: int, adapter: Adapter, languages: tuple[str, ...] = (), *, messages: bool = False
) -> tuple[str, ...]:
    """Notices on a usable base, as sentences; InputError, with setting and remedy, for one that cannot be trained.

    With `messages` it also has to write conversations. The weights' values are not read: a base of any size takes seconds.
    """
    name, path = base.name, base.path
    raw = read_config(name, path)
    shapes = read_shapes(name, path)
    check_tokenizer_files(name, path)
    from tasks.problems import probing  # takes seconds: faults of the files are reported before

    config = _read_config(name, path, raw)
    _check_padding(name, config)
    task = problem_of(problem)
    small, probe = _probe_reduced(name, config, task)
    task.check_probe(name, path, probe)
    folders = {name: path} | ({f"{name}/{base.target_tokenizer}": path / base.target_tokenizer} if base.target_tokenizer else {})
    tokenizers = {
        tokenizer_name: usable_tokenizer(tokenizer_name, folder, task, max_length) for tokenizer_name, folder in folders.items()
    }
    task.check_languages(path, base.target_tokenizer, languages)
    if messages:
        check_template(name, tokenizers[name])
    virtual = adapter.tokens if isinstance(adapter, VirtualTokens) else 0
    longest = probing.longest_text(task.probed_part(small), probe, max_length + virtual) - virtual
    if longest < max_length:
        beside = f" beside {virtual} virtual ones" if virtual else ""
        raise InputError(
            f"model.max_length {max_length}: {name} has positions for {longest} tokens{beside}: "
            f"set model.max_length={longest} or less"
        )
    whole, trained_pooler = fitting_network(name, path, task, config, shapes)
    for tokenizer_name, tokenizer in tokenizers.items():
        check_embedded(tokenizer_name, tokenizer, probing.embedding_rows(whole))
    if task.drops_pooler(path, probe, trained=trained_pooler):
        whole.pooler = small.pooler = None
    _check_adapter(name, whole, small, adapter, task)
    return _length_notices(name, config, max_length)


def _read_config(name: str, path: Path, raw: dict[str, Any]) -> PretrainedConfig:
    """The config as transformers reads it; InputError where it cannot, or only by code that comes with the base."""
    from transformers import AutoConfig

    kind = raw["model_type"]
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (*REFUSALS, OSError) as error:
        if "auto_map" in raw:
            raise InputError(
                f"model.base {name}: its network (model_type {kind}) is code of its own, which is not run: name a base of a kind "
                "that transformers has itself"
            ) from None
        if kind in str(error) or "model type" in str(error).lower():
            raise InputError(
                f"model.base {name}: transformers does not know its model_type {kind}: correct it in config.json, name another "
                "base, or use a Tunekeeper with a newer transformers"
            ) from None
        raise InputError(f"model.base {name}: its config.json is refused ({first_line(error)}): correct it, or {FETCH}") from None


def _check_padding(name: str, config: PretrainedConfig) -> None:
    settings = config.get_text_config()
    pad, rows = getattr(settings, "pad_token_id", None), getattr(settings, "vocab_size", None)
    if isinstance(pad, int) and isinstance(rows, int) and pad >= rows:
        raise InputError(
            f"model.base {name}: config.json says pad_token_id {pad} and vocab_size {rows}: a padding token lies within the "
            "vocabulary: correct pad_token_id"
        )


def _probe_reduced(name: str, config: PretrainedConfig, problem: Problem) -> tuple[Any, Probe]:
    """A small network of the same kind, and its probe."""
    import transformers

    from tasks.problems import probing

    if not problem.accepts_config(config):
        raise problem.refuse_network(name)
    kind = getattr(transformers, problem.base_class)
    try:
        small: nn.Module = probing.build_reduced(kind, config)
    except REFUSALS as error:
        reason = first_line(error)
        if kind.__name__ in str(error):  # there is none of this kind
            raise problem.refuse_network(name) from None
        raise InputError(f"model.base {name}: its config.json describes no network ({reason}): correct it, or {FETCH}") from None
    try:
        used = problem.used_part(small)
        return used, probing.probe_network(problem.probed_part(used))
    except InputError as error:
        raise InputError(f"model.base {name}: {error}: name a base that reads text") from None


def _check_adapter(name: str, whole: nn.Module, small: nn.Module, adapter: Adapter, problem: Problem) -> None:
    """Refuse an adapter for which the network has nothing to move or to adapt."""
    match adapter:
        case LastLayers():
            try:
                adapters.last_layers(whole, adapter.layers)
            except ValueError as error:
                raise InputError(
                    f"adapter.layers {adapter.layers}: of {name} {error}: name fewer, or take adapter.kind=full"
                ) from None
        case BitFit():
            if not any(key.endswith("bias") for key, _ in whole.named_parameters()):
                raise InputError(f"adapter.kind bitfit: {name} has no biases: take lora, ia3 or last_layers")
        case LayerAdapter():
            _check_targets(name, (whole, small), adapter.target_modules, adapter, problem)


def _check_targets(
    name: str, networks: tuple[nn.Module, nn.Module], named: str | tuple[str, ...], adapter: Adapter, problem: Problem
) -> None:
    """Refuse names in adapter.target_modules that match no module, and networks in which peft finds no layer to adapt.

    Tried on the small network; on the outline of the whole one where single layers are named, which the small one lacks.
    """
    whole, small = networks
    modules = [key for key, _ in whole.named_modules()]
    targets = () if isinstance(named, str) else named
    idle = [target for target in targets if not any(f".{key}".endswith(f".{target}") for key in modules)]
    linear = sorted({key.rpartition(".")[2] for key, part in whole.named_modules() if type(part).__name__ in ("Linear", "Conv1D")})
    if idle:
        raise InputError(
            f"adapter.target_modules: {', '.join(idle)} names no module of {name}: "
            f"its linear layers are {first_names(linear, NAMED)}"
        )
    try:
        adapters.add_adapter(small, adapter, problem.task_type)
    except (*REFUSALS, re.error):
        try:
            adapters.add_adapter(whole, adapter, problem.task_type)
        except (*REFUSALS, re.error) as error:
            raise InputError(
                f"adapter.target_modules {named}: not to be had with {name} ({first_line(error)}): its linear "
                f"layers are {first_names(linear, NAMED)}; all-linear takes all of them"
            ) from None


def _length_notices(name: str, config: PretrainedConfig, max_length: int) -> tuple[str, ...]:
    trained = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(trained, int) and 0 < trained < max_length:
        return (
            f"model.max_length {max_length} is beyond the {trained} tokens that {name} was made for: it reads them, but has hardly "
            "learned to",
        )
    return ()
