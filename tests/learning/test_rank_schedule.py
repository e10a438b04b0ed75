"""AdaLoRA's ranks: cut over a training to as many as are asked for, and its regulariser is what peft adds to losses."""

import pytest
import tiny
import torch
from safetensors.torch import load_file

from configs.schema import AdaLora, Pipeline
from tasks.common.bases import find_base
from tasks.learning.network import TRAINABLE, build_network, spec_of
from tasks.learning.rank_schedule import adapted_ranks, add_orthogonality_gradient


def test_ranks_shrink_to_the_mean_that_is_asked_for(train):
    trained = train(adapter=AdaLora(r=2, initial_r=6), rows=tiny.frame(80), held_out=tiny.frame(4)[:0], epochs=4)
    values = [value for name, value in load_file(trained.folder / TRAINABLE).items() if "lora_E" in name]
    left = sum(int((value != 0).sum()) for value in values)
    assert left == 2 * len(values) and len({int((value != 0).sum()) for value in values}) > 1, "some layers have more than others"


def test_its_regulariser_is_the_one_that_peft_adds_to_a_loss(bert_folder):
    base = find_base(str(bert_folder))
    spec = spec_of("text-classification", AdaLora(r=2, initial_r=4), ("a", "b"), 16, 0, base)
    adapted = adapted_ranks(build_network(spec, base.path).model)
    factors = {name: value for name, value in adapted.model.named_parameters() if "lora_A" in name or "lora_B" in name}
    expected = sum(
        torch.norm((value @ value.T if "lora_A" in name else value.T @ value) - torch.eye(4), p="fro")
        for name, value in factors.items()
    ) / len(factors)  # fmt: skip
    gradients = torch.autograd.grad(0.5 * expected, list(factors.values()))
    add_orthogonality_gradient(adapted, 0.5)
    for value, gradient in zip(factors.values(), gradients, strict=True):
        torch.testing.assert_close(value.grad, gradient)


def test_ranks_that_would_not_shrink_are_refused():
    with pytest.raises(ValueError, match="initial_r 4 is no more than r 4"):
        Pipeline.model_validate(
            {"name": "a", "problem": "text-classification", "model": {"base": "b"}, "data": {"source": "a.csv"},
             "adapter": {"kind": "adalora", "r": 4, "initial_r": 4}}
        )  # fmt: skip
