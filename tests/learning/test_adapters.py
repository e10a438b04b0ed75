"""Which weights move, and that exactly they are kept."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from configs.schema import Full, Lora
from tasks.common.bases import find_base
from tasks.learning.adapters import add_adapter, default_learning_rate, load_trainable, save_trainable, trainable_weights
from tasks.learning.network import build_network, spec_of


@pytest.fixture
def network(bert_folder):
    def made(adapter=None, seed=0):
        adapter = adapter or Lora(r=4)
        base = find_base(str(bert_folder))
        return build_network(spec_of("text-classification", adapter, ("a", "b"), 16, seed, base), base.path).model

    return made


def test_full_moves_everything_and_lora_a_little_and_the_head(network):
    full, low = network(Full()), network()
    assert all(value.requires_grad for value in full.parameters())
    names = trainable_weights(low).keys()
    assert {"head.weight", "head.bias"} < names and all("lora_" in name for name in names if not name.startswith("head."))
    assert sum(value.numel() for value in trainable_weights(low).values()) < sum(value.numel() for value in full.parameters()) / 3


def test_lora_takes_the_linear_layers_it_is_given(network):
    names = trainable_weights(network(Lora(r=2, target_modules=("query",)))).keys()
    assert sum("lora_A" in name for name in names) == 2 and all("query" in name for name in names if "lora_" in name)


def test_an_adapter_starts_as_the_base_and_its_draw_hangs_on_the_seed(network, bert_folder):
    plain, low = network(Full()).eval(), network().eval()
    ids = torch.tensor([[2, 9, 10, 3]], device=low.head.weight.device)
    mask = torch.ones_like(ids)
    torch.testing.assert_close(low.embed(ids, mask), plain.embed(ids, mask), rtol=0, atol=1e-6)
    same, other = (trainable_weights(network(seed=seed)) for seed in (0, 1))
    assert all(torch.equal(value, same[name]) for name, value in trainable_weights(network()).items())
    assert any(not torch.equal(value, other[name]) for name, value in same.items())


def test_what_is_saved_comes_back_bit_for_bit(network, tmp_path):
    one, other = network(seed=0), network(seed=1)
    save_trainable(one, tmp_path / "weights")
    load_trainable(other, tmp_path / "weights")
    assert all(torch.equal(value, trainable_weights(other)[name]) for name, value in trainable_weights(one).items())


@pytest.mark.parametrize("change", ["renamed", "missing", "more"])
def test_weights_under_other_names_are_refused_and_nothing_is_left_at_its_start(network, tmp_path, change):
    model, file = network(), tmp_path / "weights"
    save_trainable(model, file)
    held = load_file(file)
    if change == "renamed":  # what a stored LoRA model looks like whose base was stored with the adapter in it
        held = {name.replace("encoder.base_model.model.", "encoder."): value for name, value in held.items()}
    elif change == "missing":
        del held["head.weight"]
    else:
        held["more"] = torch.zeros(1)
    save_file(held, file)
    with pytest.raises(ValueError, match="holds other weights than the model trains"):
        load_trainable(model, file)


def test_weights_of_another_shape_are_refused(network, tmp_path):
    save_trainable(network(Lora(r=2)), tmp_path / "weights")
    with pytest.raises(ValueError, match="shape"):
        load_trainable(network(Lora(r=4)), tmp_path / "weights")


def test_weights_that_would_be_broadcast_are_refused(network, tmp_path):
    model = network()
    held = {name: value.clone() for name, value in trainable_weights(model).items()}
    held["head.bias"] = held["head.bias"][:1]
    save_file(held, tmp_path / "weights")
    with pytest.raises(ValueError, match="shape"):
        load_trainable(model, tmp_path / "weights")


def test_low_rank_updates_learn_at_a_higher_rate():
    assert default_learning_rate(Lora()) == 5e-4 and default_learning_rate(Full()) == 1e-4


def test_full_is_the_network_itself():
    network = torch.nn.Linear(2, 2)
    assert add_adapter(network, Full(), "FEATURE_EXTRACTION") is network
