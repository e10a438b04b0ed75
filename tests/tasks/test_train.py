"""What the face of training says of itself before it begins."""

from dataclasses import replace
from pathlib import Path

import pytest

from configs.load import load
from tasks.learning import device
from tasks.train import takes_every_core

HELPDESK = Path(__file__).parents[2] / "configs" / "helpdesk.yaml"


@pytest.mark.parametrize(("hardware", "pool", "every"), [("cpu", None, True), ("cuda", None, False), ("cpu", "gpus", False)])
def test_a_training_takes_every_core_on_this_machines_cpu_alone(monkeypatch, hardware, pool, every):
    here = device.numerics("fp32")
    monkeypatch.setattr(device, "numerics", lambda _: replace(here, device=hardware))
    assert takes_every_core(load(HELPDESK, [f"training.work_pool={pool}"] if pool else [])) is every
