"""Checks that a base has the weights that its config.json describes, by names and shapes; it reads values only where it must."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from tasks.learning.base_files import FETCH
from tasks.problems.library_errors import REFUSALS, first_line

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

    from tasks.problems.base import Problem

NAMED = 4  # weights that one message names
MENDED = "put the config.json there that the weights were made with"
Shapes = Mapping[str, tuple[int, ...]]


def fitting_network(name: str, path: Path, problem: Problem, config: PretrainedConfig, shapes: Shapes) -> tuple[Any, bool]:
    """The network without its values (torch's meta device), and whether its pooler has weights in the base.

    `shapes` are those that the files hold. It is the part that the problem uses. Raises InputError where weights are missing
    (a pooler alone may be), of another shape, or of layers that config.json does not describe.
    """
    import torch
    import transformers

    kind = getattr(transformers, problem.base_class)
    try:
        with torch.device("meta"):
            whole = kind.from_config(config, dtype=torch.float32)
    except REFUSALS as error:
        raise InputError(
            f"model.base {name}: its config.json describes no network ({first_line(error)}): correct it, or {FETCH}"
        ) from None
    if not _shapes_explain_weights(whole, shapes):  # renamed, merged or tied weights, or a misfit: transformers itself tells which
        whole, misfits = _load_with_report(name, path, kind)
        _check_misfits(name, _used_weight_names(whole, problem.used_part(whole)), *misfits)
    network = problem.used_part(whole)
    return network, getattr(network, "pooler", None) is not None and any("pooler." in key for key in shapes)


def _used_weight_names(whole: nn.Module, part: nn.Module) -> set[str]:
    """The names in a network of the weights in a part of it."""
    values = {id(value) for value in part.parameters()}
    return {key for key, value in whole.named_parameters(remove_duplicate=False) if id(value) in values}


def _shapes_explain_weights(whole: PreTrainedModel, shapes: Shapes) -> bool:
    """Whether all weights are in the files in their shapes, with the same names but for the prefix of heads, and no further layer.

    Weights that share memory count as one.
    """
    prefix = f"{whole.base_model_prefix}."
    parameters = dict(whole.named_parameters(remove_duplicate=False))
    places = {key: next((n for n in (key, prefix + key, key.removeprefix(prefix)) if n in shapes), "") for key in parameters}
    loaded = {id(value) for key, value in parameters.items() if places[key] and shapes[places[key]] == tuple(value.shape)}
    fits = all(id(value) in loaded for value in parameters.values())
    return fits and not _further_layers(parameters, shapes.keys() - set(places.values()))


def _load_with_report(
    name: str, path: Path, kind: Any
) -> tuple[PreTrainedModel, tuple[list[tuple[str, Iterable[int], Iterable[int]]], set[str], set[str]]]:
    """The base as transformers loads it, with its weights of another shape, the missing and the unexpected ones."""
    import torch

    try:
        whole, info = kind.from_pretrained(
            path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, device_map="meta",
            output_loading_info=True, ignore_mismatched_sizes=True,
        )  # fmt: skip
    except (*REFUSALS, OSError) as error:
        reason = first_line(error)
        raise InputError(f"model.base {name}: config.json and weights make no network ({reason}): {MENDED}, or {FETCH}") from None
    return whole, (list(info["mismatched_keys"]), set(info["missing_keys"]), set(info["unexpected_keys"]))


def _check_misfits(
    name: str, used: set[str], misfits: list[tuple[str, Iterable[int], Iterable[int]]], missing: set[str], unexpected: set[str]
) -> None:
    differing = sorted((entry for entry in misfits if entry[0] in used), key=lambda entry: str(entry[0]))
    if differing:
        key, actual, expected = differing[0]
        raise InputError(
            f"model.base {name}: its weights have {key} as {_shape_text(actual)}, its config.json makes it {_shape_text(expected)} "
            f"({len(differing)} differ): {MENDED}"
        )
    absent = sorted(key for key in missing & used if not key.startswith("pooler."))
    if absent:
        raise InputError(
            f"model.base {name}: its weights lack {first_names(absent)} of what its config.json describes, "
            f"which would start at random: {MENDED}, or name a base that was saved whole"
        )
    further = _further_layers(used, unexpected)
    if further:
        raise InputError(
            f"model.base {name}: its weights hold {first_names(further)}, more layers than its config.json describes: {MENDED}"
        )


def _further_layers(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Of other weights those that differ from a network's own by a number alone: layers that it leaves out."""
    known = {_mask_numbers(key) for key in names if _mask_numbers(key) != key}
    return sorted(
        key for key in others if any(_mask_numbers(key) == each or _mask_numbers(key).endswith(f".{each}") for each in known)
    )


def _mask_numbers(key: str) -> str:
    """A weight's name with its numbers left open."""
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1*", key)


def _shape_text(value: Iterable[int]) -> str:
    return "x".join(map(str, value))


def first_names(names: list[str], most: int = NAMED) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
