"""LoRA layers computed by one function: peft's outputs and gradients, and peft's own way where a layer is not plain."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel

from tasks.learning.device import Numerics
from tasks.learning.fused_lora import fuse_lora

FP32, BF16 = Numerics("cpu", "fp32", 1, ""), Numerics("cpu", "bf16", 1, "")


@pytest.fixture
def network(bert_folder):
    """A BERT with LoRA on all linear layers, moved off its start, where the update is nothing."""

    def made(**settings):
        base = AutoModel.from_pretrained(bert_folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", **settings))
        for name, value in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, std=0.1)
        return model.train()

    return made


def step(model, dtype=None):
    """The loss of one batch and the gradient of everything that trains."""
    ids = torch.arange(4, 28).view(3, 8)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is not None):
        hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.float()
    loss = (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum()  # its square would be the same for all: a norm
    model.zero_grad()
    loss.backward()
    return loss.item(), {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_outputs_and_gradients_are_those_of_peft(network, dtype):
    theirs = network()
    ours = copy.deepcopy(theirs)
    assert fuse_lora(ours, BF16 if dtype else FP32) == 13
    (loss, gradients), (fused_loss, fused) = step(theirs, dtype), step(ours, dtype)
    assert fused_loss == pytest.approx(loss, rel=2e-2 if dtype else 1e-6) and fused.keys() == gradients.keys()
    whole, ours_whole = (torch.cat([many[name].flatten() for name in gradients]) for many in (gradients, fused))
    assert (ours_whole - whole).norm() <= (3e-2 if dtype else 1e-5) * whole.norm()


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_a_layer_that_is_not_plain_stays_as_it_is(network, settings):
    assert fuse_lora(network(**settings), FP32) == 0


def test_on_a_gpu_nothing_is_fused(network):
    assert fuse_lora(network(), Numerics("cuda", "bf16", 1, "")) == 0


def test_a_network_whose_adapter_is_merged_or_switched_off_answers_as_peft_has_it(network):
    theirs = network().eval()
    ours = copy.deepcopy(theirs)
    fuse_lora(ours, FP32)
    ids = {"input_ids": torch.arange(4, 12).view(1, 8)}
    with torch.no_grad():
        with theirs.disable_adapter(), ours.disable_adapter():
            assert torch.equal(ours(**ids)[0], theirs(**ids)[0])
        theirs.merge_adapter(), ours.merge_adapter()
        assert torch.allclose(ours(**ids)[0], theirs(**ids)[0], atol=1e-6)


def test_it_trains_to_the_weights_of_peft_up_to_rounding(network):
    def trained(fused):
        model = network()
        fuse_lora(model, FP32) if fused else None
        optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.05)
        for _ in range(10):
            step(model)
            optimizer.step()
        return torch.cat([value.detach().flatten() for value in model.parameters() if value.requires_grad])

    assert torch.allclose(trained(True), trained(False), atol=1e-5)


def test_tiny_rows_and_single_tokens_pass(network):
    model = network()
    fuse_lora(model, FP32)
    assert model(input_ids=torch.tensor([[5]])).last_hidden_state.shape == (1, 1, 32)
