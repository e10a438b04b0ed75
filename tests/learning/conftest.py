"""A small BERT without dropout, and a way to train it that notes all it is told."""

import json
import shutil

import pytest
import tiny
from fit_parts import QUICK, ROWS

from configs.schema import Full, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning import fit
from tasks.learning.network import spec_of
from tasks.learning.objectives import run as training_run


@pytest.fixture(scope="session")
def steady_bert(bert_folder, tmp_path_factory):
    """Without dropout, so that rows taken in other pieces give the same weights, but for rounding."""
    folder = shutil.copytree(bert_folder, tmp_path_factory.mktemp("steady") / "bert")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    return folder


@pytest.fixture
def train(steady_bert, tmp_path):
    """Train on ROWS; `said`, `logged` and `moved` hold what the listener was told."""

    def trained(run="run", adapter=None, rows=ROWS, held_out=None, base=steady_bert, start=None, objective=None, **settings):
        labels = tuple(sorted(set(rows["target"])))
        found = find_base(str(base))
        spec = spec_of("text-classification", adapter or Full(), labels, 16, 0, found)
        told = (trained.logged.append, trained.moved.append, trained.said.append)
        listener = fit.Listener(lambda step, values: told[0]((step, values)), lambda step, of: told[1]((step, of)), told[2])
        training = Training(**{**QUICK, "head_learning_rate_factor": 10, "precision": "fp32", **settings})
        held_out = tiny.frame(12, 1) if held_out is None else held_out
        return training_run.train_network(
            training_run.TrainingMaterial(spec, base, rows, held_out), objective or Supervised(), training, tmp_path / run,
            listener, start,
        )  # fmt: skip

    trained.logged, trained.moved, trained.said = [], [], []
    return trained
