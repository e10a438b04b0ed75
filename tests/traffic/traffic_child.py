"""A process with a traffic log of its own, to be killed: `python traffic_child.py MODE HOME ...`."""

import itertools
import logging
import os
import resource
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tasks.traffic import writer
from tasks.traffic.log import Answer, open_traffic
from tasks.traffic.store import ParquetStore

NAME = "tiny"


def answer(place, text="a text", **given):
    values = {"version": "1", "text": text, "prediction": "red first", "score": 0.9, "latency_ms": 1.5, **given}
    return Answer(id=f"{place:032x}", time=values.pop("time", datetime.now(UTC)), **values)


def say(*words):
    print(*words, flush=True)


def answering(traffic):
    """Answer eight texts every few milliseconds, and say how many were answered, and how many of them written."""
    for start in itertools.count(0, 8):
        traffic.answered([answer(place) for place in range(start, start + 8)])
        say(start + 8, traffic.counts.written)
        time.sleep(0.002)


def terminated(traffic):
    """The same until SIGTERM, then the end of a service that closes its log."""

    def stop(*_):
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    try:
        answering(traffic)
    finally:
        traffic.close()


def full(traffic):
    """A disk that takes 20,000 bytes of a file, for a while."""
    said = logging.StreamHandler(sys.stdout)
    writer.log.addHandler(said)
    writer.MOST_WAITING = 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    for start in range(0, 3000, 10):
        traffic.answered([answer(place) for place in range(start, start + 10)])
        time.sleep(0.001)
    say("took", not traffic.flush(), traffic.counts)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    say("again", traffic.flush(), traffic.counts)
    traffic.answered([answer(9999)])
    traffic.close()
    say("end", traffic.counts)


def killed_at(home, strike):
    """Kill this process at its n-th operation on files below home, if there are so many."""
    left = int(strike)

    def struck(event, given):
        nonlocal left
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(given[0]).startswith(home):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(struck)


def moving(traffic, home, strike):
    """Close a log of 100 answers, which moves its journal."""
    traffic.answered([answer(place) for place in range(100)])
    traffic.flush()
    killed_at(home, strike)
    traffic.close()


def tidying(traffic, home, strike):
    """Make one file of the many of a day."""
    traffic.close()
    killed_at(home, strike)
    ParquetStore(Path(home) / "traffic" / NAME).tidy()


def main(mode, home, *given):
    if mode in ("moving", "tidying"):
        writer.Traffic._settle_until_closed = lambda _: None
    traffic = open_traffic(Path(home), NAME)
    globals()[mode](traffic, *given)


if __name__ == "__main__":
    main(*sys.argv[1:])
