"""Which weights move, and that exactly they are kept."""

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from configs.schema import BitFit, Full, HeadOnly, LastLayers, Lora, VirtualTokens
from tasks.common.bases import find_base
from tasks.learning.adapters import (
    add_adapter,
    default_learning_rate,
    last_layers,
    load_trainable,
    merge_adapters,
    save_trainable,
    trainable_weights,
)
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


def all_weights(adapter, folder, problem="text-classification", seed=0):
    base = find_base(str(folder))
    labels = ("a", "b") if problem == "text-classification" else ()
    return build_network(spec_of(problem, adapter, labels, 16, seed, base), base.path).model


def shake(model):
    """Move every weight that may move, as a training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.05 * torch.randn_like(value))


FOLDERS = {"text-classification": "bert_folder", "text-generation": "llama_folder", "text2text-generation": "bart_folder"}
PAIRS = [
    (problem, kind)
    for problem in FOLDERS
    for kind, adapter in tiny.ADAPTERS.items()
    if tiny.makes_sense(problem, adapter) and not (problem == "text-generation" and kind == "bitfit")  # Llama has no biases
]


@pytest.mark.parametrize(("problem", "kind"), PAIRS)
def test_weights_that_moved_come_back_in_a_network_that_is_built_anew_merged_or_not(problem, kind, request, tmp_path):
    adapter, folder = tiny.ADAPTERS[kind], request.getfixturevalue(FOLDERS[problem])
    ids = torch.tensor([[2, 9, 10, 11, 3]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs |= {"decoder_input_ids": torch.tensor([[2, 5, 6]])} if problem == "text2text-generation" else {}

    def outputs(model):
        return model.eval()(**inputs)["logits"].detach()

    def untrained(adapter):  # of a classifier its vectors, as the head is drawn anew
        model = all_weights(adapter, folder, problem).eval()
        return model.embed(**inputs).detach() if problem == "text-classification" else outputs(model)

    if not isinstance(adapter, VirtualTokens):
        torch.testing.assert_close(untrained(adapter), untrained(Full()), rtol=0, atol=2e-5)
    model = all_weights(adapter, folder, problem)
    before = outputs(model)
    shake(model)
    moved = outputs(model)
    assert (moved - before).abs().max() > 1e-3
    save_trainable(model, tmp_path / "weights")
    again = all_weights(adapter, folder, problem)
    load_trainable(again, tmp_path / "weights")
    torch.testing.assert_close(outputs(again), moved, rtol=0, atol=1e-5)
    merge_adapters(again)
    torch.testing.assert_close(outputs(again), moved, rtol=0, atol=1e-4)


def test_frozen_moves_the_head_alone_and_bitfit_the_biases_beside_it(network):
    assert trainable_weights(network(HeadOnly())).keys() == {"head.weight", "head.bias"}
    names = trainable_weights(network(BitFit())).keys()
    assert len(names) > 3 and all(name.endswith("bias") or name.startswith("head.") for name in names)


@pytest.mark.parametrize(("problem", "folder", "other"), [
    ("text-classification", "bert_folder", "encoder.encoder.layer.0."), ("text-generation", "llama_folder", "model.layers.0."),
    ("text2text-generation", "bart_folder", "layers.0."),
])  # fmt: skip
def test_last_layers_leaves_the_earlier_ones_and_the_embeddings_as_they_are(problem, folder, other, request):
    names = trainable_weights(all_weights(LastLayers(layers=1), request.getfixturevalue(folder), problem)).keys()
    assert names and not any(other in name or "embed" in name for name in names)
    stacks = {name.split(".layers.")[0] if ".layers." in name else name.split(".layer.")[0] for name in names if ".layer" in name}
    assert len({stack for stack in stacks if "norm" not in stack}) == (2 if problem == "text2text-generation" else 1)


def test_more_layers_than_there_are_is_an_error():
    stack = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)])})
    assert len(last_layers(stack, 3)) == 3
    with pytest.raises(ValueError, match="there are 3 layers"):
        last_layers(stack, 4)
    with pytest.raises(ValueError, match="no stack of layers"):
        last_layers(torch.nn.Linear(2, 2), 1)
