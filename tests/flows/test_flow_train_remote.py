"""The train task alone on another machine: the same weights to the bit, and what is not the same is refused."""

import re
import shutil
import threading
from contextvars import copy_context
from types import SimpleNamespace

import pytest
from prefect.flow_engine import run_flow

from configs.errors import InfraError
from flows import train_remote as flow
from tasks import remote_training
from tasks.learning.network import TRAINABLE

THERE = "training.work_pool=gpus"


@pytest.fixture
def machine(keep, monkeypatch):
    """A second machine with a home of its own: what its worker would run is run here, at once, when it is asked for."""
    home = keep.folder / "second machine"
    monkeypatch.setattr(flow, "POLL_SECONDS", 0.05)
    begun, context, ran, told = flow._find_or_create_run, copy_context(), [], []

    def worker(run):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TUNEKEEPER_HOME", str(home))
            patch.setenv("MLFLOW_TRACKING_URI", keep.home.tracking_uri)
            ran.append(run_flow(flow.train_elsewhere, flow_run=run, parameters=run.parameters, return_type="state"))

    def asked(*given):
        run = begun(*given)
        told.append(run.parameters["order"])
        thread = threading.Thread(target=context.copy().run, args=(worker, run))
        thread.start()
        thread.join()
        return run

    monkeypatch.setattr(flow, "_find_or_create_run", asked)
    return SimpleNamespace(home=home, ran=ran, told=told)


@pytest.mark.slow
def test_weights_trained_elsewhere_are_those_trained_here_to_the_bit_and_what_differs_is_refused(keep, machine, bert_folder):
    base = f"model.base={shutil.copytree(bert_folder, keep.folder / 'base')}"
    assert "training went wrong twice" in keep.refused(THERE, base, "training.learning_rate=1e30", code=1)
    there = keep.retrain(THERE, base)
    assert len(machine.ran) == 2 and there["verdict"] == "PROMOTE"
    assert (machine.home / "runs" / there["train_key"] / "trained" / TRAINABLE).is_file()
    assert not list(machine.home.rglob("test.parquet"))  # test rows never leave
    run = keep.tracking.client.get_run(there["run_id"])
    assert keep.tracking.client.get_metric_history(there["run_id"], "train/loss") and run.data.tags["tunekeeper.weights_sha256"]
    other = keep.refused(THERE, base, "training.start=champion", "adapter.kind=lora")
    assert "the champion has another adapter" in other  # the user's to mend, wherever it was found

    shutil.rmtree(keep.home.path / "runs")
    here = keep.retrain(base, "gate.alpha=0.04")
    assert (here["train_key"], here["weights_sha256"]) == (there["train_key"], there["weights_sha256"])
    assert here["training_seconds"] != there["training_seconds"] and len(machine.ran) == 3

    shutil.rmtree(keep.home.path / "runs")  # the result is in the run: it is found there, not trained again
    found = remote_training.collect_result(keep.home, keep.tracking, there["train_key"], there["run_id"])
    assert found.weights == there["weights_sha256"] and found.seconds == there["training_seconds"]
    shutil.rmtree(keep.home.path / "runs")
    stored = next((keep.home.artifacts / "tiny" / there["run_id"]).rglob(f"{remote_training.TRAINED}/{TRAINABLE}"))
    stored.write_bytes(b"other weights")
    with pytest.raises(InfraError, match=f"{TRAINABLE} is damaged"):
        remote_training.collect_result(keep.home, keep.tracking, there["train_key"], there["run_id"])

    told = machine.told[1]
    changes = {"libraries": ("torch", "1.0+cpu"), "code": ("tasks.learning.fit.fit_network", "other")}
    for part, (name, value) in changes.items():
        other = {part: {**told[part], name: value}}
        with pytest.raises(InfraError, match=rf"would train another model.*{re.escape(name)}"):
            remote_training.train_order(remote_training.RemoteJob(**{**told, **other}), keep.home, keep.tracking)
