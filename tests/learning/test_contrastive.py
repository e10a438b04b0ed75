"""Contrastive: pairs of rows bring the texts of a class together, before a head is begun on their vectors."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file

from configs.schema import Contrastive, Lora, Pipeline, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.head_start import logistic_head
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.chain import stage_settings, train_chain
from tasks.learning.objectives.contrastive import MOST_PAIRS, cosine_loss, draw_pairs
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.problems.classifier import encode_texts, run_in_batches

SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)
ROWS = tiny.frame(60)
FEW = (Contrastive(pairs_per_row=4, learning_rate=3e-3), Supervised(head="logistic", epochs=2, learning_rate=1e-3))


def vectors_of(network):
    ids = encode_texts(network.tokenizer, ROWS["text"].tolist(), 16)
    return run_in_batches(network.model, ids, network.pad_id, 16, nullcontext, embeddings=True)


@pytest.fixture
def material(steady_bert):
    base = find_base(str(steady_bert))
    spec = spec_of("text-classification", Lora(r=4), tuple(sorted(set(ROWS["target"]))), 16, 0, base)
    return TrainingMaterial(spec, steady_bert, ROWS, tiny.frame(20, 1))


def test_every_row_is_in_as_many_pairs_of_its_class_as_of_others_and_in_none_with_itself():
    classes = np.array([0, 0, 1, 1, 1, 2])
    pairs = draw_pairs(classes, 5, seed=0)
    assert all((classes[first] == classes[second]) == same and first != second for first, second, same in pairs)
    counts = {(row, same): sum(pair[0] == row and pair[2] == same for pair in pairs) for row in range(6) for same in (True, False)}
    assert set(counts.values()) == {5, 0} and [key for key, count in counts.items() if not count] == [(5, True)]
    assert draw_pairs(classes, 5, seed=0) == pairs != draw_pairs(classes, 5, seed=1)


def test_many_rows_are_in_fewer_pairs_each():
    assert len(draw_pairs(np.arange(6_000) % 7, 20, seed=0)) <= MOST_PAIRS


def test_the_loss_is_the_mean_squared_difference_of_cosines():
    outputs, labels = {"logits": torch.tensor([0.5, -1.0])}, torch.tensor([1.0, 0.0])
    assert float(cosine_loss(outputs, labels)) == pytest.approx((0.25 + 1.0) / 2)
    assert float(cosine_loss(outputs, labels, 5)) == pytest.approx(1.25 / 5)


def test_texts_of_a_class_come_nearer_to_one_another_than_to_others(material, tmp_path):
    def gap(network):
        vectors = vectors_of(network)
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines, same = units @ units.T, np.equal.outer(ROWS["target"].to_numpy(), ROWS["target"].to_numpy())
        return cosines[same].mean() - cosines[~same].mean()

    training = Training(epochs=2, batch_size=16, learning_rate=5e-3, precision="fp32")
    trained = train_network(material, Contrastive(pairs_per_row=4), training, tmp_path / "run", SILENT)
    before = build_network(material.spec, material.base)
    after = build_network(read_spec(trained.folder), material.base, trained.folder / TRAINABLE)
    assert gap(after) > gap(before) + 0.1


def test_the_head_of_the_objective_that_follows_begins_on_the_vectors_that_it_left(material, tmp_path):
    training = Training(batch_size=16, precision="fp32", weight_decay=0)
    stage = train_network(material, FEW[0], stage_settings(training, FEW[0]), tmp_path / "stage", SILENT)
    vectors = vectors_of(build_network(read_spec(stage.folder), material.base, stage.folder / TRAINABLE))
    classes = {label: place for place, label in enumerate(material.spec.labels)}
    head = logistic_head(vectors, ROWS["target"].map(classes).to_numpy(), len(classes))
    idle = FEW[1].model_copy(update={"epochs": 1, "learning_rate": 1e-12})
    both = train_chain(material, (FEW[0], idle), training, tmp_path / "both", SILENT)
    np.testing.assert_allclose(load_file(both.folder / TRAINABLE)["head.weight"].numpy(), head.weight, atol=1e-4)
    assert both.steps > stage.steps


def test_one_row_that_is_held_out_makes_no_pair_and_is_no_obstacle(material, tmp_path):
    training = Training(epochs=1, batch_size=16, learning_rate=1e-3, precision="fp32")
    lone = replace(material, held_out=material.held_out[:1])
    assert train_network(lone, Contrastive(pairs_per_row=1), training, tmp_path / "run", SILENT).steps > 0


@pytest.mark.parametrize(("values", "says"), [
    ({"objective": {"kind": "contrastive"}}, "contrastive trains no head: let"),
    ({"objective": [{}, {"kind": "contrastive"}]}, "contrastive trains no head: let"),
    ({"adapter": {"kind": "frozen"}}, "contrastive moves the base, not the head"),
    ({"problem": "text-regression"}, "contrastive is of problems with one class a row"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(values, says):
    config = {
        "name": "a", "problem": "text-classification", "model": {"base": "b"}, "data": {"source": "a.csv"},
        "objective": [{"kind": "contrastive"}, {"head": "logistic"}], **values,
    }  # fmt: skip
    with pytest.raises(ValueError, match=says):
        Pipeline.model_validate(config)
