"""Which weights move: the whole network, or low-rank updates of its linear layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from configs.schema import Adapter, Full, Lora
from tasks.problems.types import TaskType

if TYPE_CHECKING:
    import torch
    from torch import nn


def add_adapter(network: nn.Module, adapter: Adapter, task: TaskType) -> nn.Module:
    """Wrap a pretrained network for training; the caller seeds, because LoRA's A matrices are drawn at random."""
    match adapter:
        case Full():
            return network
        case Lora():
            from peft import LoraConfig, get_peft_model

            targets = adapter.target_modules
            config = LoraConfig(
                r=adapter.r,
                lora_alpha=adapter.alpha,
                lora_dropout=adapter.dropout,
                target_modules=targets if isinstance(targets, str) else list(targets),
                task_type=task,
            )
            return get_peft_model(network, config)  # type: ignore[no-any-return]
        case _:
            assert_never(adapter)


def default_learning_rate(adapter: Adapter) -> float:
    """Low-rank updates start at zero and bear ten times the rate of whole weights; chosen on nine sets (benchmarks/recipes.py)."""
    match adapter:
        case Full():
            return 1e-4
        case Lora():
            return 5e-4
        case _:
            assert_never(adapter)


def trainable_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that move, by name, on the CPU: all that a checkpoint or a released model has to hold beside the base."""
    return {name: value.detach().cpu().contiguous() for name, value in model.named_parameters() if value.requires_grad}


def save_trainable(model: nn.Module, file: Path) -> None:
    """Write them as safetensors, those that share memory once each; raises OSError where the disk does not take them."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: value.clone() for name, value in trainable_weights(model).items()}, file, metadata={"format": "pt"})
    except SafetensorError as error:  # a plain Exception, even for a full disk
        raise OSError(str(error)) from error


def load_trainable(model: nn.Module, file: Path) -> None:
    """Put them back; raises ValueError unless exactly the same names and shapes are there."""
    import torch
    from safetensors.torch import load_file

    saved = load_file(file)
    trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if saved.keys() != trainable.keys():
        raise ValueError(f"{file} holds other weights than the model trains: {sorted(saved.keys() ^ trainable.keys())[:4]}")
    if misshapen := [name for name, value in trainable.items() if value.shape != saved[name].shape]:  # copy_ would broadcast
        raise ValueError(f"{file} holds weights of another shape than the model trains: {misshapen[:4]}")
    with torch.no_grad():
        for name, value in trainable.items():
            value.copy_(saved[name])
