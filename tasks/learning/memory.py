"""Runs a training with as many rows in memory at once as fit: fewer where it runs out, with the batch size unchanged."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from configs.errors import InfraError
from tasks.learning.device import Numerics

T = TypeVar("T")
MICRO = "micro"  # the file that notes how many rows were found to fit


def within_memory(attempt: Callable[[int], T], batch: int, noted: Path, how: Numerics, notice: Callable[[str], None]) -> T:
    """The result of `attempt` with so many rows in memory at once: the batch, or a quarter of it where memory runs out.

    The number that fits is noted in a file, for a resumed training. Raises InfraError where a quarter does not fit either.
    """
    sizes = _batch_sizes_to_try(batch, noted)
    for micro in sizes:
        try:
            return attempt(micro)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if micro == sizes[-1]:
                raise InfraError(
                    f"out of memory with {micro} rows at once on {how.hardware} ({_first_line(error)}): lower "
                    "model.max_length, use adapter.kind=lora or a machine with more memory; run again to go on"
                ) from error
            notice(f"out of memory with {micro} rows at once; once more with {sizes[-1]} and gradient accumulation")
            noted.parent.mkdir(parents=True, exist_ok=True)
            noted.write_text(str(sizes[-1]))  # a resumed training goes on in the same pieces, and to the same weights
        gc.collect()
    raise AssertionError("unreachable")


def _batch_sizes_to_try(batch: int, noted: Path) -> tuple[int, ...]:
    """How many rows to hold in memory at once, in the order to be tried; after a kill, the number that fitted."""
    text = noted.read_text() if noted.is_file() else ""
    return (int(text),) if text.isdigit() else tuple(dict.fromkeys((batch, _smaller_batch_size(batch))))


def _smaller_batch_size(batch: int) -> int:
    """The largest divisor of a batch that is at most a quarter of it."""
    return max(size for size in range(1, max(2, math.ceil(batch / 4) + 1)) if batch % size == 0)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, as torch reports it: by its own class, Python's, or a RuntimeError of the CPU allocator."""
    import torch

    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "DefaultCPUAllocator" in str(error)
        or "not enough memory" in str(error)
    )
