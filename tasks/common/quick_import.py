"""Imports without a search for garbage among what they make."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_import() -> Iterator[None]:
    """Import in peace: of a million objects none is garbage, now or later, so later searches leave them out too.

    For a process that imports torch, MLflow and Prefect this is a second of six.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
