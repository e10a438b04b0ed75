"""Attention in fp32 beside bf16 layers: the same function, with the padding still left out."""

import pytest
import tiny
import torch
from transformers import AutoModel, AutoModelForCausalLM, T5Config, T5EncoderModel

from tasks.learning.attention import NAME, attend_in_fp32
from tasks.learning.device import Numerics

BF16 = Numerics("cpu", "bf16", 1, "a processor")


def t5(folder):
    torch.manual_seed(0)
    T5EncoderModel(T5Config(vocab_size=40, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)).save_pretrained(folder)
    return folder


@pytest.fixture(
    params=[(tiny.bert, AutoModel), (tiny.llama, AutoModelForCausalLM), (t5, T5EncoderModel)], ids=["bert", "llama", "t5"]
)
def network(request, tmp_path):
    make, kind = request.param
    return kind.from_pretrained(make(tmp_path / "base")).eval()


def padded(rows=3, length=9, kept=5):
    torch.manual_seed(1)
    ids, mask = torch.randint(4, 20, (rows, length)), torch.ones(rows, length, dtype=torch.long)
    mask[1, kept:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def outputs(network, batch, dtype=torch.float32):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        return network(**batch)[0].float()


def test_it_computes_what_the_network_computed_before_and_leaves_the_padding_out(network):
    batch = padded()
    before, kept = outputs(network, batch), batch["attention_mask"].bool()
    attend_in_fp32(network, BF16)
    after = outputs(network, batch)
    assert torch.allclose(before[kept], after[kept], atol=1e-6)
    alone = outputs(network, {name: values[1:2, :5] for name, values in batch.items()})
    assert torch.allclose(after[1:2, :5], alone, atol=1e-5)


def test_under_autocast_it_is_as_near_to_fp32_as_bf16_attention(network):
    batch = padded()
    kept, exact, rounded = batch["attention_mask"].bool(), outputs(network, batch), outputs(network, batch, torch.bfloat16)
    attend_in_fp32(network, BF16)
    ours = outputs(network, batch, torch.bfloat16)
    assert (ours - exact)[kept].abs().max() <= 2 * (rounded - exact)[kept].abs().max()


@pytest.mark.parametrize("how", [Numerics("cpu", "fp32", 1, ""), Numerics("cuda", "bf16", 1, "")])
def test_where_nothing_is_gained_the_network_is_left_as_it_is(network, how):
    before = network.config._attn_implementation
    attend_in_fp32(network, how)
    assert network.config._attn_implementation == before != NAME


def test_gradients_under_autocast_are_those_of_bf16_attention_up_to_rounding(tmp_path):
    base = tiny.bert(tmp_path / "base")

    def gradients(fp32):
        network = AutoModel.from_pretrained(base).eval()
        if fp32:
            attend_in_fp32(network, BF16)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = network(**padded())[0].float()[:, 0]
        (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum().backward()
        return torch.cat([value.grad.flatten() for value in network.parameters() if value.grad is not None])

    ours, theirs = gradients(True), gradients(False)
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.999
