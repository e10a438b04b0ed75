"""Signals that end a training after its next step, so that a checkpoint is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest(threading.Event):
    """Set by the signal that asks training to stop."""

    which: int = signal.SIGTERM


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGTERM and a first Ctrl-C into a request to stop after this step; a second one acts at once."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _: object) -> None:
        stop.which = number
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
