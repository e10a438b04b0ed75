"""What a process that helps owes the one that started it: it steps back, and does not outlive it."""

from __future__ import annotations

import os
import time
from threading import Thread


def step_back() -> None:
    """Let this process, on Linux this thread and those it starts, take what others leave of the cores, and a tenth of the rest.

    No less: where a machine is busy for hours, somebody waits for what is done here.
    """
    os.nice(10)


def die_with(parent: int) -> None:
    """End this process within seconds of the end of `parent`, which started it: what nobody waits for is not worth finishing."""
    Thread(target=_outlive_not, args=(parent,), daemon=True).start()


def _outlive_not(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
