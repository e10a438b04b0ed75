"""The machine's device, precision and memory, and the memory that a training needs."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.errors import InfraError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import nn
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Numerics:
    """The settings that decide the last bits of a result: results are bit for bit equal only where these are equal."""

    device: str
    dtype: str
    threads: int
    hardware: str


def numerics(precision: Literal["auto", "fp32", "bf16"]) -> Numerics:
    """CUDA where there is one, else the CPU; bf16 autocast where `auto` finds hardware for it."""
    import torch

    cuda = torch.cuda.is_available()
    dtype = precision if precision != "auto" else "bf16" if _has_bf16() else "fp32"
    hardware = torch.cuda.get_device_name() if cuda else _cpu_name()
    return Numerics("cuda" if cuda else "cpu", dtype, torch.get_num_threads(), hardware)


@cache
def count_devices() -> int:
    """How many trainings this machine can hold at once: its GPUs, or one on the CPU. No torch is imported for that."""
    if not Path("/dev/nvidiactl").exists():
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def settle_on(number: int) -> None:
    """Let this process see one GPU of several from here on: a Trainer divides each batch among all that it sees.

    Where CUDA runs already, as in the second training of one process, nothing changes.
    """
    import torch

    if count_devices() > 1 and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[number].strip() if visible else str(number)


def autocast(how: Numerics) -> Callable[[], AbstractContextManager[object]]:
    """A fresh context for each use: weights stay fp32, matrix products run in bf16."""
    import torch

    return nullcontext if how.dtype == "fp32" else partial(torch.autocast, how.device, dtype=torch.bfloat16)


def peak_memory(how: Numerics) -> int:
    """Bytes: the device's peak where it keeps one, else this process's largest resident set."""
    import torch

    return (
        int(torch.cuda.max_memory_allocated())
        if how.device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )


def check_fits(model: nn.Module, batch: int, tokens: int, how: Numerics) -> None:
    """Refuse, with the numbers, a model (see `outline`) whose weights, gradients and optimizer state cannot fit.

    Counted: 4 bytes a weight, 12 more for each that trains (gradient, two Adam moments), and for the activations of one batch
    about 34 bytes a token, layer and hidden unit (Korthikanti et al. 2022, "Reducing Activation Recomputation in Large
    Transformer Models", eq. 2, without attention scores).
    """
    weights = sum(value.numel() for value in model.parameters())
    moving = sum(value.numel() for value in model.parameters() if value.requires_grad)
    config: PretrainedConfig = model.config
    layers, hidden = (getattr(config, name, 0) or 0 for name in ("num_hidden_layers", "hidden_size"))
    parts = {
        "weights": 4 * weights,
        "gradients and optimizer": 12 * moving,
        "activations of one batch": 34 * batch * tokens * layers * hidden,
    }
    free = free_memory(how)
    if parts["weights"] + parts["gradients and optimizer"] + parts["activations of one batch"] // batch > free:
        needs = ", ".join(f"{name} {_gib_text(size)}" for name, size in parts.items())
        raise InfraError(
            f"the model does not fit in memory: it needs {needs}; {_gib_text(free)} are free on {how.hardware}. "
            "Use adapter.kind=lora, a smaller training.batch_size or model.max_length, or a machine with more memory"
        )


def free_memory(how: Numerics) -> int:
    """Bytes that can still be had: on the GPU, or within this process's control group."""
    import psutil
    import torch

    if how.device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return free if soft == resource.RLIM_INFINITY else min(free, soft - psutil.Process().memory_info().vms)


def _has_bf16() -> bool:
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu_info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    return bf16_pays(cpu_info)


def bf16_pays(cpuinfo: str) -> bool:
    """Whether a CPU multiplies bf16 faster than fp32, from /proc/cpuinfo: with AMX, or AMD's AVX-512 units.

    Intel's AVX-512 takes bf16 on one of its two units: without AMX, as virtual machines often hide it, a product took 1.7 times
    as long as in fp32, and a training 2.5 times.
    """
    return "amx_bf16" in cpuinfo or ("avx512_bf16" in cpuinfo and "AuthenticAMD" in cpuinfo)


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()} ({os.cpu_count()} CPUs)"


def _gib_text(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread of the CPU while the block lasts."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
