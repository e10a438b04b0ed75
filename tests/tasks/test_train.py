"""What the face of training says of itself before it begins."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from configs.load import load_pipeline
from configs.schema import Pipeline
from tasks import train
from tasks.collect.training import training_sentence
from tasks.common.bases import find_base
from tasks.common.home import Home
from tasks.learning import device
from tasks.train import record_training, takes_every_core

HELPDESK = Path(__file__).parents[2] / "configs" / "helpdesk.yaml"


@pytest.mark.parametrize(("hardware", "pool", "every"), [("cpu", None, True), ("cuda", None, False), ("cpu", "gpus", False)])
def test_a_training_takes_every_core_on_this_machines_cpu_alone(monkeypatch, hardware, pool, every):
    here = device.numerics("fp32")
    monkeypatch.setattr(device, "numerics", lambda _: replace(here, device=hardware))
    assert takes_every_core(load_pipeline(HELPDESK, [f"training.work_pool={pool}"] if pool else [])) is every


def trained(**changes):
    """A finished training as its record on disk has it; `changes` are its fields."""
    from tasks.learning.fit import TrainingResult

    history = ({"step": 10.0, "eval_loss": 0.5}, {"step": 20.0, "eval_loss": 0.4})
    fields = {"folder": Path("runs/a/trained"), "weights": "ab", "steps": 20, "seconds": 3.0, "peak_memory": 9, "micro": 8}
    how = device.numerics("fp32")
    account = {"numerics": how, "history": history, "epoch": 2, "learning_rate": 1e-3, "temperature": 1.25}
    return TrainingResult(**{**fields, **account, **changes})


@pytest.mark.parametrize("problem", ["text-ranking", "sentence-similarity"])
def test_a_users_number_moves_no_scale(problem, bert_folder, tmp_path, monkeypatch):
    own = pd.DataFrame({"target": ["0", "3", "1"], "origin": ["source", "source", "audit"]})
    said = pd.DataFrame({"target": ["1e+20", "0"], "origin": ["feedback", "feedback"]})
    data = {"source": "rows.csv", "text": "a", "text_pair": "b", "number": "c"}
    pipeline = Pipeline.model_validate({"name": "tiny", "problem": problem, "data": data, "model": {"base": str(bert_folder)}})

    def scale_of(rows):
        monkeypatch.setattr(train, "open_snapshot", lambda *_: SimpleNamespace(frame=lambda _: rows))
        return train.training_material(pipeline, Home(tmp_path), find_base(str(bert_folder)), "").spec.spread

    assert scale_of(pd.concat([own, said])) == scale_of(own) == 3 and scale_of(said.assign(target=["0", "2"])) == 2


class Recorder:
    """A tracking that keeps what it is told."""

    def __init__(self):
        self.metrics, self.tags = {}, {}

    def log_metrics(self, run_id, values, step):
        self.metrics |= values

    def tag(self, run_id, values):
        self.tags |= values


@pytest.mark.parametrize(
    "restart", ["", "training went wrong (step 9, learning rate 0.002: the loss is nan) and was begun once more"]
)
def test_a_run_tells_its_epoch_its_rate_its_temperature_and_a_second_attempt(restart):
    tracking = Recorder()
    record_training(tracking, "run", trained(restart=restart))
    assert {name: tracking.metrics[name] for name in ("kept_epoch", "temperature", "learning_rate_used")} == {
        "kept_epoch": 2.0, "temperature": 1.25, "learning_rate_used": 1e-3,
    }  # fmt: skip
    assert tracking.tags.get("training.restart", "") == restart


@pytest.mark.parametrize(
    ("changes", "settings", "sentence"),
    [
        ({}, [], "Weights of epoch 2, the one with the lowest validation loss after its temperature was fitted; learning rate "
         "0.001; calibrated with a temperature of 1.25."),
        ({}, ["training.refit=true"], "Weights of epoch 2, as many as had the lowest validation loss after its temperature was "
         "fitted, on train and validation rows together; learning rate 0.001; calibrated with a temperature of 1.25."),
        ({"fold_rows": 700}, [], "Weights of epoch 2, the one with the lowest loss of the validation rows and 700 training rows "
         "that folds answered after its temperature was fitted; learning rate 0.001; calibrated with a temperature of 1.25."),
        ({"history": (), "temperature": 1.0}, [], "Weights of epoch 2, the last one: no validation rows were there to choose by; "
         "learning rate 0.001; calibrated with a temperature of 1."),
        ({"epoch": 0}, [], ""),
    ],
)  # fmt: skip
def test_a_report_says_in_a_sentence_which_weights_a_version_has(changes, settings, sentence):
    assert training_sentence(trained(**changes), load_pipeline(HELPDESK, settings)) == sentence
