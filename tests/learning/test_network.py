"""A network is built again as it was trained, also one that was stored before it named its pooling."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
import transformers as hf

from configs.errors import InputError
from configs.schema import Full, Lora
from tasks.common.bases import find_base
from tasks.learning.network import build_network, read_spec, refuse_blind, save_spec, spec_of
from tasks.problems import problem_of
from tasks.problems.types import EARLIER


@pytest.fixture(scope="module")
def neox(tmp_path_factory):
    return tiny.base(tmp_path_factory.mktemp("neox"), hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, wrap=False)


def spec(folder, adapter=None):
    return spec_of("text-classification", adapter or Lora(r=2), ("a", "b"), 16, 0, find_base(str(folder)))


def test_what_was_found_of_a_base_is_stored_with_the_network(neox, bert_folder, tmp_path):
    assert spec(neox).pooling is None
    for folder, pooling in ((neox, "last"), (bert_folder, "mean")):
        network = build_network(spec(folder), folder)
        assert network.spec.pooling == network.model.pooling == pooling
        save_spec(network.spec, tmp_path)
        assert read_spec(tmp_path) == network.spec and build_network(read_spec(tmp_path), folder).spec == network.spec


def test_a_network_stored_before_it_named_its_pooling_keeps_the_rule_of_its_day(neox, tmp_path):
    save_spec(spec(neox), tmp_path)
    values = json.loads((tmp_path / "network.json").read_text())
    del values["pooling"]
    (tmp_path / "network.json").write_text(json.dumps(values))
    earlier = read_spec(tmp_path)
    network = build_network(earlier, neox)
    assert earlier.pooling == EARLIER and network.spec == earlier and network.model.pooling == "first"
    ids = torch.tensor([[9, 10], [9, 11]], device=network.model.head.weight.device)
    one, other = network.model.eval()(ids, torch.ones_like(ids))["logits"]
    assert torch.equal(one, other), "all texts that begin alike are alike to it"
    with pytest.raises(InputError, match=r"set training\.start=base"):
        refuse_blind(network)
    refuse_blind(build_network(spec(neox), neox))


@pytest.mark.parametrize("adapter", [Full(), Lora(r=8)])
@pytest.mark.parametrize(
    ("model", "config", "settings"),
    [
        (hf.T5ForConditionalGeneration, hf.T5Config, tiny.T5),
        (hf.BartForConditionalGeneration, hf.BartConfig, tiny.BART),
        (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, {}),
    ],
)
def test_encoders_of_encoder_decoders_and_decoders_learn_to_classify(tmp_path, model, config, settings, adapter):
    folder = tiny.base(tmp_path, model, config, wrap=False, **settings)
    network = build_network(spec(folder, adapter), folder)
    device = network.model.head.weight.device
    ids, labels = torch.tensor([[9, 10, 12, 13], [9, 11, 12, 13]], device=device), torch.tensor([0, 1], device=device)
    optimizer = torch.optim.Adam([value for value in network.model.parameters() if value.requires_grad], lr=0.02)
    losses = []
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(network.model(ids, torch.ones_like(ids))["logits"], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.3 * losses[0]
    assert not any("decoder" in name for name, _ in network.model.named_parameters()), "the encoder alone"


def test_weights_of_a_champion_are_gone_on_with_as_they_were_pooled(bert_folder, tmp_path):
    from tasks.learning.objectives.run import _start_weights

    champion = build_network(replace(spec(bert_folder), pooling="first"), bert_folder).spec
    save_spec(champion, tmp_path)
    assert _start_weights(tmp_path, spec(bert_folder))[1].pooling == "first"


@pytest.mark.parametrize(("pooling", "there"), [("mean", True), ("first", False), ("max", False)])
def test_points_for_the_monitors_are_means_over_tokens_or_none(bert_folder, pooling, there):
    """The monitors embed traffic by means: test rows embedded by another pooling would lie elsewhere, and look like drift."""
    from configs.schema import Evaluation
    from tasks.learning.scoring import score_opponents, scoring_of

    network = build_network(replace(spec(bert_folder, Full()), pooling=pooling), bert_folder)
    train, test = tiny.frame(40), tiny.frame(20, seed=1)
    found = score_opponents(problem_of(network.spec.problem), network, train, test, (), scoring_of(Evaluation(), "fp32"))
    assert (found.points is not None) == there
