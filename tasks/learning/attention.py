"""Attention in fp32 beside linear layers in bf16: on a CPU the backward of bf16 attention takes back all that bf16 gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.learning.device import Numerics

if TYPE_CHECKING:
    import torch
    from torch import nn

NAME = "tunekeeper_sdpa_fp32"


def attend_in_fp32(model: nn.Module, how: Numerics) -> None:
    """Let a network that trains under bf16 autocast on a CPU compute softmax(q k^T) v in fp32; any other is left as it is.

    The backward of torch's bf16 attention on a CPU was measured at nine times its fp32 one (570 ms for 65), so that training under
    autocast gained nothing. Networks that attend by other means than transformers' `sdpa` are not touched.
    """
    if how.device != "cpu" or how.dtype != "bf16":
        return
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, sdpa_in_fp32)
    AttentionMaskInterface.register(NAME, sdpa_mask)  # without a mask function of its own it would silently attend to padding
    network = next((part for part in model.modules() if isinstance(part, PreTrainedModel)), None)
    if network is not None and network.config._attn_implementation == "sdpa":
        network.set_attn_implementation(NAME)


def sdpa_in_fp32(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **settings: object,
) -> tuple[torch.Tensor, None]:
    """transformers' sdpa on (batch, heads, tokens, d) in fp32, outside autocast; the result comes back in the query's dtype."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    mask = attention_mask.float() if attention_mask is not None and attention_mask.is_floating_point() else attention_mask
    with torch.autocast(query.device.type, enabled=False):
        mixed, _ = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **settings)
    return mixed.to(query.dtype), None
