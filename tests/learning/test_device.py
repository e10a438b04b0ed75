"""What the machine offers is read from what it says of itself."""

import os

import pytest
import torch

from tasks.learning import device
from tasks.learning.device import bf16_pays, one_thread


@pytest.mark.parametrize(
    ("cpuinfo", "pays"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", False),  # a virtual machine that hides AMX
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", True),
        ("vendor_id : AuthenticAMD\nflags : avx2", False),
        ("", False),
    ],
)
def test_bf16_is_taken_where_a_cpu_multiplies_it_faster(cpuinfo, pays):
    assert bf16_pays(cpuinfo) is pays


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("4, 6", "6"), ("GPU-a,GPU-b", "GPU-b")])
def test_a_training_sees_the_gpu_of_its_slot_alone(monkeypatch, before, after):
    monkeypatch.setattr(device, "count_devices", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    device.settle_on(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == after


def test_one_gpu_or_none_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(device, "count_devices", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    device.settle_on(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_what_is_computed_on_one_thread_leaves_the_number_as_it_was():
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)  # as all tests compute
