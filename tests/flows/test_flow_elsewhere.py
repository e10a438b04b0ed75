"""The train task alone on another machine: the same weights to the bit, and what is not the same is refused."""

import os
import shutil
import threading
from contextvars import copy_context
from types import SimpleNamespace

import pytest
from prefect.flow_engine import run_flow

from flows import elsewhere as flow
from tasks import elsewhere
from tasks.learning.network import TRAINABLE

THERE = "training.work_pool=gpus"


@pytest.fixture
def machine(keep, monkeypatch):
    """A second machine with a home of its own: what its worker would run is run here, at once, when it is asked for."""
    home = keep.folder / "second machine"
    monkeypatch.setattr(flow, "POLL_SECONDS", 0.05)
    begun, context, ran = flow._begun, copy_context(), []

    def worker(run):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TUNEKEEPER_HOME", str(home))
            patch.setenv("MLFLOW_TRACKING_URI", keep.home.tracking_uri)
            ran.append(run_flow(flow.train_elsewhere, flow_run=run, parameters=run.parameters, return_type="state"))

    def asked(*given):
        run = begun(*given)
        thread = threading.Thread(target=context.copy().run, args=(worker, run))
        thread.start()
        thread.join()
        return run

    monkeypatch.setattr(flow, "_begun", asked)
    return SimpleNamespace(home=home, ran=ran)


def test_weights_trained_elsewhere_are_those_trained_here_to_the_bit_and_one_run_has_all_their_numbers(keep, machine, bert_folder):
    base = shutil.copytree(bert_folder, keep.folder / "base")
    named = f"model.base={base}"
    there = keep.retrain(THERE, named)
    assert len(machine.ran) == 1 and there["verdict"] == "PROMOTE"
    assert (machine.home / "runs" / there["train_key"] / "trained" / TRAINABLE).is_file()
    assert not list(machine.home.rglob("test.parquet"))  # test rows never leave
    (run,) = keep.runs()
    assert keep.tracking.client.get_metric_history(run.info.run_id, "loss") and run.data.tags["tunekeeper.weights_sha256"]

    shutil.rmtree(keep.home.path / "runs")
    here = keep.retrain(named, "gate.alpha=0.04")
    assert (here["train_key"], here["weights_sha256"]) == (there["train_key"], there["weights_sha256"])
    assert here["training_seconds"] != there["training_seconds"]

    shutil.rmtree(keep.home.path / "runs")  # the result is in the run: it is found there, not trained again
    found = elsewhere.collect(keep.home, keep.tracking, there["train_key"], there["run_id"])
    assert found.weights == there["weights_sha256"] and found.seconds == there["training_seconds"]


def test_other_libraries_a_damaged_result_and_a_training_that_cannot_be_are_refused(keep, machine, monkeypatch):
    assert "training diverged" in keep.refused(THERE, "training.learning_rate=1e30")  # for the user to mend, wherever it was
    with monkeypatch.context() as patch:
        patch.setattr(elsewhere, "libraries", lambda names: {name: os.urandom(4).hex() for name in names})
        assert "would train another model" in keep.refused(THERE, code=1)
    with monkeypatch.context() as patch:
        log_folder = elsewhere.Tracking.log_folder

        def damaged(self, run_id, source, folder):
            if folder == elsewhere.TRAINED:
                source = shutil.copytree(source, keep.folder / "damaged")
                (source / TRAINABLE).write_bytes(b"other weights")
            log_folder(self, run_id, source, folder)

        patch.setattr(elsewhere.Tracking, "log_folder", damaged)
        assert f"{TRAINABLE} is damaged" in keep.refused(THERE, code=1)
    assert keep.versions() == set()
