"""Which weights move: the base's own, all or some, or new ones beside its linear layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, assert_never

from configs.schema import (
    AdaLora,
    Adapter,
    BitFit,
    Dora,
    Full,
    HeadOnly,
    Ia3,
    LastLayers,
    LayerAdapter,
    Lora,
    LowRank,
    Oft,
    Pissa,
    Prefix,
    Prompt,
    PTuning,
    RsLora,
    Vera,
    VirtualTokens,
)
from tasks.problems.types import TaskType

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from torch import nn


def add_adapter(network: nn.Module, adapter: Adapter, task: TaskType) -> nn.Module:
    """Prepare a pretrained network for training: let some of its weights move, or put new ones into it.

    The caller seeds, because new weights are drawn at random. A head that is added later moves too.
    """
    match adapter:
        case Full():
            return network
        case HeadOnly():
            return network.requires_grad_(False)
        case LastLayers():
            return _moving(network, [value for part in last_layers(network, adapter.layers) for value in part.parameters()])
        case BitFit():
            return _moving(network, [value for name, value in network.named_parameters() if name.rpartition(".")[2] == "bias"])
        case Prompt() | PTuning():
            return _with_virtual_tokens(network, adapter, task)
        case _:
            from peft import get_peft_model

            return get_peft_model(network, _peft_config(adapter, task))  # type: ignore[no-any-return]


def _peft_config(adapter: Adapter, task: TaskType) -> PeftConfig:
    """The adapter as peft has it."""
    match adapter:
        case Lora():
            return _config("LoraConfig", task, **_low_rank(adapter))
        case RsLora():
            return _config("LoraConfig", task, **_low_rank(adapter), use_rslora=True)
        case Dora():
            return _config("LoraConfig", task, **_low_rank(adapter), use_dora=True)
        case Pissa():
            return _config("LoraConfig", task, **_low_rank(adapter), init_lora_weights="pissa")
        case AdaLora():
            settings = _low_rank(adapter)
            ranks = {"init_r": adapter.initial_r, "target_r": settings.pop("r")}
            return _config("AdaLoraConfig", task, **settings, **ranks, total_step=1)  # known when it is fitted
        case Ia3():
            return _config("IA3Config", task, target_modules=_targets(adapter), feedforward_modules=[])
        case Vera():
            return _config("VeraConfig", task, target_modules=_targets(adapter), r=adapter.r, vera_dropout=adapter.dropout)
        case Oft():
            return _config("OFTConfig", task, target_modules=_targets(adapter), oft_block_size=adapter.block_size)
        case Prompt():
            return _config("PromptTuningConfig", task, **_virtual(adapter), prompt_tuning_init="SAMPLE_VOCAB")
        case PTuning():
            return _config("PromptEncoderConfig", task, **_virtual(adapter))
        case Prefix():
            return _config("PrefixTuningConfig", task, **_virtual(adapter))
        case _:
            raise TypeError(f"{adapter.kind} is no adapter of peft's")


def _config(name: str, task: TaskType, **settings: Any) -> PeftConfig:
    """A config of peft by the name of its class, which is imported where it is used."""
    import peft

    return getattr(peft, name)(task_type=task, **settings)


def _low_rank(adapter: LowRank) -> dict[str, Any]:
    names = {"r": adapter.r, "lora_alpha": adapter.alpha, "lora_dropout": adapter.dropout}
    return {**names, "target_modules": _targets(adapter)}


def _virtual(adapter: VirtualTokens) -> dict[str, Any]:
    return {"num_virtual_tokens": adapter.tokens, "num_transformer_submodules": 1}


def _moving(network: nn.Module, parameters: list[nn.Parameter]) -> nn.Module:
    """The network with these parameters alone to train."""
    network.requires_grad_(False)
    for value in parameters:
        value.requires_grad_(True)
    return network


def _with_virtual_tokens(network: nn.Module, adapter: Prompt | PTuning, task: TaskType) -> nn.Module:
    """The network with virtual tokens before each text, whose outputs are those of the text's own tokens."""
    from peft import get_peft_model

    model = get_peft_model(network, _peft_config(adapter, task))
    whole, pooler = model.forward, getattr(network, "pooler", None)

    def forward(*args: Any, **settings: Any) -> Any:
        outputs = whole(*args, **settings)
        outputs.last_hidden_state = outputs.last_hidden_state[:, adapter.tokens :]
        if pooler is not None:
            outputs.pooler_output = pooler(outputs.last_hidden_state)
        return outputs

    model.forward = forward
    return model  # type: ignore[no-any-return]


def _targets(adapter: LayerAdapter) -> str | list[str]:
    targets = adapter.target_modules
    return targets if isinstance(targets, str) else list(targets)


def last_layers(network: nn.Module, count: int) -> list[nn.Module]:
    """The last `count` blocks of each stack of a network, and the norms behind the stacks.

    A stack is a list of two or more blocks of one kind that is in no other block. Raises ValueError where a stack has fewer blocks,
    or there is none.
    """
    parts: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for parent in network.modules():
        children = dict(parent.named_children())
        for stack in children.values():
            if stack in inside or not _is_stack(stack):
                continue
            if len(stack) < count:
                raise ValueError(f"there are {len(stack)} layers")
            inside.update(stack.modules())
            norms = [part for name, part in children.items() if "norm" in type(part).__name__.lower() and "emb" not in name]
            parts += [*stack[-count:], *norms]
    if not parts:
        raise ValueError("no stack of layers was found")
    return parts


def _is_stack(part: nn.Module) -> TypeGuard[nn.ModuleList]:
    from torch import nn

    return isinstance(part, nn.ModuleList) and len(part) > 1 and len({type(block) for block in part}) == 1


def default_learning_rate(adapter: Adapter) -> float:
    """Those of full and lora were chosen on nine sets (benchmarks/recipes.py), the others on fewer (benchmarks/adapters.py)."""
    match adapter:
        case Full() | LastLayers():
            return 1e-4
        case Pissa():
            return 2e-4
        case Lora() | RsLora() | Dora() | Oft():
            return 5e-4
        case HeadOnly() | PTuning():
            return 1e-3
        case AdaLora():
            return 2e-3
        case BitFit():
            return 3e-3
        case Ia3() | Vera() | Prompt():
            return 1e-2
        case Prefix():
            return 3e-2
        case _:
            assert_never(adapter)


def merge_adapters(model: nn.Module) -> None:
    """Put what was learned beside layers into the layers themselves: the same outputs but for rounding, without its cost."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
                setattr(parent, name, layer.get_base_layer())


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
