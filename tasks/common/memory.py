"""Memory that was needed once and is free now goes back to the system: a service lives for months, and works in bursts."""

from __future__ import annotations

import ctypes
import logging
import sys

log = logging.getLogger(__name__)


def give_back() -> None:
    """Hand the system what Arrow and the C library keep for the next time: 100 MiB of a moved journal, 50 of a model let go.

    Freed in between what is still used, it would stay for ever, and each time a little more. It takes 5 to 20 ms.
    """
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # not glibc: it has no such call
        log.debug("this C library keeps its free memory to itself")
