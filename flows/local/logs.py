"""Keep logs small: cut the files of local services by size, and count repeated lines instead of writing them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.common.locks import take_lock

LOG_BYTES = 10_000_000
PER_MINUTE = 20  # lines that one place in the code may write
_COUNTED_PLACES = 1000


@contextmanager
def log_file(log: Path) -> Iterator[int]:
    """A log to append to; one that has grown large becomes the old one first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    rotate_log(log)
    with log.open("ab") as out:
        yield out.fileno()


def rotate_log(log: Path, most: int = LOG_BYTES) -> bool:
    """Cut a log that is larger than `most`: its last `most` bytes become NAME.old.log, and it begins anew; whether it was cut.

    A process that has it open to append writes on in the same file, from its beginning, without notice. What is written between the
    copy and the cut is lost.
    """
    with suppress(OSError):  # it is gone, or the disk is full: then it is cut when there is room, and the services go on
        if log.stat().st_size <= most:
            return False
        with log.open("rb+") as source:
            if not take_lock(source):  # of two processes that see it one cuts it
                return False
            source.seek(-most, os.SEEK_END)
            old = log.with_suffix(".old.log")
            with old.with_suffix(".tmp").open("wb") as target:
                target.write(source.read(most))  # what is written meanwhile makes the old one no larger
            old.with_suffix(".tmp").replace(old)
            source.truncate(0)
            return True
    return False


class RepeatLimit(logging.Filter):
    """Lets a place in the code write so many lines a minute; its next line tells how many were left out."""

    def __init__(self, per_minute: int = PER_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._per_minute, self._clock = per_minute, clock
        self._places: dict[tuple[str, int], tuple[float, int]] = {}  # the minute's beginning, and lines in it

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), self._clock()
        began, lines = self._places.get(place, (now, 0))
        if now - began >= 60:
            if lines > self._per_minute:
                more = f" ({lines - self._per_minute} more like it before)"
                record.msg, record.args = record.getMessage() + more, None
            began, lines = now, 0
        if len(self._places) >= _COUNTED_PLACES and place not in self._places:
            self._places.clear()
        self._places[place] = (began, lines + 1)
        return lines < self._per_minute
