"""Objectives one after the other: each training starts from the weights of the one before; a user sees one training."""

import math

import pytest
import tiny
from fit_parts import losses

from configs.schema import (
    AnchoredPreference,
    Lora,
    OddsRatioPreference,
    Pipeline,
    Preference,
    SimplePreference,
    Supervised,
    Training,
)
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import spec_of
from tasks.learning.objectives.chain import train_chain
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.train import metric_of

ROWS, HELD_OUT = tiny.preferences(44), tiny.preferences(20, 1).assign(id=lambda rows: "h" + rows["id"])
TRAINING = Training(epochs=2, batch_size=8, precision="fp32")
BOTH = (Supervised(learning_rate=3e-3), Preference(epochs=1, learning_rate=1e-3))


@pytest.fixture
def material(llama_folder):
    return TrainingMaterial(
        spec_of("text-generation", Lora(r=4), (), 24, 0, find_base(str(llama_folder))), llama_folder, ROWS, HELD_OUT
    )


def listener(logged=None, sentences=None):
    logged, sentences = [] if logged is None else logged, [] if sentences is None else sentences
    return Listener(lambda step, values: logged.append((step, values)), lambda *_: None, sentences.append)


def test_the_second_starts_from_the_weights_of_the_first_which_are_its_reference(material, tmp_path):
    logged, sentences = [], []
    trained = train_chain(material, BOTH, TRAINING, tmp_path / "run", listener(logged, sentences))
    first = train_network(material, BOTH[0], TRAINING.model_copy(update={"learning_rate": 3e-3}), tmp_path / "one", listener())
    after = TRAINING.model_copy(update={"epochs": 1, "learning_rate": 1e-3})
    second = train_network(material, BOTH[1], after, tmp_path / "two", listener(), first.folder)
    assert trained.weights == second.weights and losses(trained)[0] == pytest.approx(math.log(2), abs=0.02)
    assert trained.steps == first.steps + second.steps == 18 and trained.seconds > 0
    assert not list((tmp_path / "run").glob("stage-*")), "the weights of earlier stages are of no use any more"
    steps = [step for step, _ in logged]
    assert steps == sorted(steps), "one axis of steps"
    names = {name for step, values in logged for name in values if step <= first.steps and "loss" in name}
    assert {"supervised:loss", "supervised:eval_loss"} <= names and all(name.startswith("supervised:") for name in names)
    assert [sentence for sentence in sentences if "objective" in sentence] == [
        "objective 1 of 2: supervised", "objective 2 of 2: preference",
    ]  # fmt: skip


LAST = {
    "apo_zero": AnchoredPreference(loss="apo_zero", epochs=1),
    "apo_down": AnchoredPreference(loss="apo_down", epochs=1),
    "orpo": OddsRatioPreference(loss="orpo", epochs=1),
    "simpo": SimplePreference(loss="simpo", epochs=1),
}


@pytest.mark.parametrize("loss", LAST)
def test_each_loss_of_preference_may_be_the_last_of_a_chain(material, tmp_path, loss):
    sentences = []
    trained = train_chain(material, (BOTH[0], LAST[loss]), TRAINING, tmp_path / "run", listener(sentences=sentences))
    assert trained.steps == 18 and "objective 2 of 2: preference" in sentences
    assert any("rewards/margins" in entry for entry in trained.history)


def test_a_chain_that_was_trained_is_not_trained_again(material, tmp_path):
    trained = train_chain(material, BOTH, TRAINING, tmp_path / "run", listener())
    logged = []
    assert train_chain(material, BOTH, TRAINING, tmp_path / "run", listener(logged)) == trained and logged == []


def test_numbers_of_an_earlier_objective_have_its_name_in_mlflow():
    assert metric_of("supervised:eval_loss") == "supervised/validation/loss" and metric_of("loss") == "train/loss"


# --- the schema ---------------------------------------------------------------------------------------------------------------


def pipeline(objective, **sections):
    values = {
        "name": "a", "problem": "text-generation", "model": {"base": "b"}, "data": {"source": "a.csv", "rejected": "worse"},
        "objective": objective, **sections,
    }  # fmt: skip
    return Pipeline.model_validate(values)


def test_a_list_of_objectives_is_a_chain_and_a_list_of_one_is_that_one():
    two = pipeline([{}, {"kind": "preference"}])
    assert [each.kind for each in two.objectives] == ["supervised", "preference"] and two.last_objective.needs_pairs
    assert two.facts.primary.name == "preference_margin"
    assert pipeline([{"kind": "preference"}]).objective == Preference()
    assert Pipeline.model_validate(two.model_dump(mode="json")) == two


@pytest.mark.parametrize(("objective", "sections", "says"), [
    ([{"kind": "preference"}, {}], {}, "each of contrastive, supervised, preference once at the most, in this order"),
    ([{}, {}], {}, "once at the most"),
    ({"kind": "preference", "epochs": 2}, {}, "objective.epochs is of a stage of a chain.*write it under training"),
    ([{}, {"kind": "preference"}], {"training": {"learning_rate": 1e-3}}, "write it under each of them"),
    ([], {}, "an empty list"),
])  # fmt: skip
def test_what_is_no_chain_is_refused(objective, sections, says):
    with pytest.raises(ValueError, match=says):
        pipeline(objective, **sections)
