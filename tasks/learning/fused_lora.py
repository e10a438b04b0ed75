"""LoRA layers that add their update in place: the same sums as peft's, without a pass over the activations for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasks.learning.device import Numerics

if TYPE_CHECKING:
    import torch
    from peft.tuners.lora.layer import Linear
    from torch import nn


def fuse_lora(model: nn.Module, how: Numerics) -> int:
    """Let the LoRA layers of a network that trains on a CPU compute y = x W' + b + s (x A') B' by one function; returns how many.

    peft computes the update's scaling and sum, and their backward, as operations of their own, each of which reads and writes
    activations as large as the layer's output: on small encoders a sixth of a step. Only plain layers are fused: one adapter, no
    dropout on it, no DoRA, no bias of its own, a base of torch's own Linear. Other layers stay as they are.
    """
    if how.device != "cpu":
        return 0
    from peft.tuners.lora.layer import Linear

    layers = [layer for layer in model.modules() if type(layer) is Linear and _can_fuse(layer)]
    for layer in layers:
        layer.forward = _fused_forward(layer)
    return len(layers)


def _can_fuse(layer: Linear) -> bool:
    from torch import nn

    if len(layer.active_adapters) != 1 or type(layer.get_base_layer()) is not nn.Linear:
        return False
    name = layer.active_adapters[0]
    return (
        isinstance(layer.lora_dropout[name], nn.Identity)
        and not layer.use_dora[name]
        and layer.lora_A[name].bias is None
        and layer.lora_B[name].bias is None
        and name not in getattr(layer, "lora_variant", {})
    )


def _fused_forward(layer: Linear) -> Callable[..., torch.Tensor]:
    function, whole, name = _lora_function(), layer.forward, layer.active_adapters[0]
    base, down, up, scale = layer.get_base_layer(), layer.lora_A[name], layer.lora_B[name], float(layer.scaling[name])

    def forward(x: torch.Tensor, *args: object, **settings: object) -> torch.Tensor:
        if layer.disable_adapters or layer.merged or args or settings:
            return whole(x, *args, **settings)  # type: ignore[no-any-return]
        return function.apply(x, base.weight, base.bias, down.weight, up.weight, scale)  # type: ignore[no-any-return]

    return forward


def _lora_function() -> Any:
    """x (..., in), W (out, in), b (out) or None, A (r, in), B (out, r), s -> (..., out); W and b get no gradient."""
    import torch

    class LoraLinear(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, down: torch.Tensor, up: torch.Tensor,
            scale: float,
        ) -> torch.Tensor:  # fmt: skip
            if torch.is_autocast_enabled("cpu"):
                dtype = torch.get_autocast_dtype("cpu")
                x, weight, down, up = (value.to(dtype) for value in (x, weight, down, up))
                bias = None if bias is None else bias.to(dtype)
            with torch.autocast("cpu", enabled=False):
                rows = x.reshape(-1, x.shape[-1])
                inner = rows @ down.t()
                out = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
                out.addmm_(inner, up.t(), alpha=scale)
            ctx.save_for_backward(rows, weight, down, up, inner)
            ctx.scale = scale
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            rows, weight, down, up, inner = ctx.saved_tensors
            with torch.autocast("cpu", enabled=False):
                gradient = gradients[0].reshape(-1, gradients[0].shape[-1]).to(weight.dtype)
                back = gradient @ up
                to_down = (back.t() @ rows).mul_(ctx.scale)
                to_up = (gradient.t() @ inner).mul_(ctx.scale)
                to_x = None
                if ctx.needs_input_grad[0]:
                    to_x = (gradient @ weight).addmm_(back, down, alpha=ctx.scale).view(*gradients[0].shape[:-1], -1)
            return to_x, None, None, to_down, to_up, None

    return LoraLinear
