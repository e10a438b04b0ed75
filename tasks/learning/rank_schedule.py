"""AdaLoRA's budget of ranks over a training: which of them still count, kept with each checkpoint (arXiv:2303.10512).

peft computes which ranks matter; it has to be told every step, and forgets what it knows when a process ends.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.learning.adapters import load_trainable, save_trainable
from tasks.learning.network import TRAINABLE

if TYPE_CHECKING:
    import torch
    from peft import AdaLoraModel
    from torch import nn
    from transformers import Trainer, TrainerCallback

IMPORTANCE, PATTERN = "rank_importance.safetensors", "rank_pattern.json"  # files of a checkpoint
SENSITIVITY, UNCERTAINTY = "sensitivity/", "uncertainty/"  # of names in the first
FULL_SHARE, FIXED_SHARE = 0.1, 0.3  # of the steps: at the start with all ranks, at the end with those that are left
CUTS = 100  # times, at the most, at which ranks are cut in between


def adapted_ranks(model: nn.Module) -> AdaLoraModel | None:
    """The part of a network whose ranks are cut, if there is one."""
    from peft import AdaLoraModel

    return next((part for part in model.modules() if isinstance(part, AdaLoraModel)), None)


def add_rank_callback(trainer: Trainer, model: nn.Module, steps: int) -> None:
    """Let a Trainer cut ranks over `steps` optimizer steps; it is left as it is for other adapters."""
    adapted = adapted_ranks(model)
    if adapted is not None:
        trainer.add_callback(_rank_callback(adapted, steps))


def _rank_callback(adapted: AdaLoraModel, steps: int) -> TrainerCallback:
    from transformers import TrainerCallback

    config = adapted.peft_config[adapted.trainable_adapter_name]
    config.total_step, config.tinit = steps, round(FULL_SHARE * steps)
    config.tfinal, config.deltaT = round(FIXED_SHARE * steps), max(1, steps // CUTS)

    class RankCallback(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, *_: object, **__: object) -> None:
            add_orthogonality_gradient(adapted, config.orth_reg_weight)

        def on_optimizer_step(self, args: object, state: Any, *_: object, **__: object) -> None:
            adapted.update_and_allocate(state.global_step)

    return RankCallback()


def add_orthogonality_gradient(adapted: AdaLoraModel, weight: float) -> None:
    """Add the gradient of the mean of |P'P - 1| over both factors of all layers: peft adds it to losses that models compute."""
    import torch

    factors = [value for name, value in adapted.model.named_parameters() if "lora_A" in name or "lora_B" in name]
    with torch.enable_grad():
        apart = [_distance_from_orthogonal(value if value.shape[0] <= value.shape[1] else value.T) for value in factors]
        torch.autograd.backward(weight * torch.stack(apart).mean())


def _distance_from_orthogonal(rows: torch.Tensor) -> torch.Tensor:
    import torch

    distance: torch.Tensor = torch.linalg.matrix_norm(rows @ rows.T - torch.eye(len(rows), device=rows.device, dtype=rows.dtype))
    return distance


def save_moved(model: nn.Module, folder: Path) -> None:
    """Write the weights that move, and what a resumed training has to know of their ranks, if those are cut."""
    save_trainable(model, folder / TRAINABLE)
    adapted = adapted_ranks(model)
    if adapted is not None:
        _save_ranks(adapted, folder)


def load_moved(model: nn.Module, folder: Path) -> None:
    """Put back what `save_moved` wrote."""
    load_trainable(model, folder / TRAINABLE)
    adapted = adapted_ranks(model)
    if adapted is not None:
        _load_ranks(adapted, folder)


def _save_ranks(adapted: AdaLoraModel, folder: Path) -> None:
    from safetensors.torch import save_file

    allocator = adapted.rankallocator
    values = {f"{SENSITIVITY}{name}": value for name, value in allocator.exp_avg_ipt.items()}
    values |= {f"{UNCERTAINTY}{name}": value for name, value in allocator.exp_avg_unc.items()}
    save_file({name: value.detach().cpu().contiguous() for name, value in values.items()}, folder / IMPORTANCE)
    (folder / PATTERN).write_text(json.dumps(adapted.peft_config[adapted.trainable_adapter_name].rank_pattern))


def _load_ranks(adapted: AdaLoraModel, folder: Path) -> None:
    from safetensors.torch import load_file

    device, allocator = next(adapted.parameters()).device, adapted.rankallocator
    for name, value in load_file(folder / IMPORTANCE).items():
        kind, _, parameter = name.partition("/")
        averages = allocator.exp_avg_ipt if f"{kind}/" == SENSITIVITY else allocator.exp_avg_unc
        averages[parameter] = value.to(device)
        allocator.ipt[parameter] = value.to(device)  # that it was seen before; its value is computed anew
    adapted.peft_config[adapted.trainable_adapter_name].rank_pattern = json.loads((folder / PATTERN).read_text())
