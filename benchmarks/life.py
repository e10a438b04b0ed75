"""One life of a kept model, in a process that counts the moments it could be killed at and dies at the one it is told.

    python -m benchmarks.life CONFIG NOTES [KILL_AT]

The flow is the product's own: the functions at whose beginning and end a moment lies are wrapped from outside. NOTES receives the
moments' names and the time at which the first optimizer step ended, or a finished training was found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

TASKS = {
    "prepare": ("look", "validate", "prepare", "seal"),
    "train": ("train",),
    "evaluate": ("evaluate", "baselines"),
    "decide": ("decide",),
    "release": ("pack", "register"),
    "show": ("describe", "publish"),
}
TRACKED = (
    "open_run", "close_run", "log_params", "log_metrics", "tag", "log_artifact", "log_folder", "store_base", "log_model",
    "register", "tag_version", "fetch",
)  # fmt: skip
FLOW = ("challenged", "promote", "record_decision", "_earlier_outcome")
STEPS = (1, 10, 11, 33)  # optimizer steps at whose end a moment lies: before, at and after a checkpoint, and late


class Moments:
    """Names every moment as it comes, on disk before anything else happens; at number `last` the process is gone."""

    def __init__(self, notes: Path, last: int | None) -> None:
        self.notes, self.last, self.seen = notes, last, 0

    def __call__(self, name: str) -> None:
        self.seen += 1
        self.note("moment", name)
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, kind: str, what: str) -> None:
        with self.notes.open("a") as file:
            file.write(json.dumps([kind, what, time.time()]) + "\n")

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The same function with a moment before and after."""

        @wraps(function)
        def counted(*given: Any, **named: Any) -> Any:
            self(f"before {name}")
            result = function(*given, **named)
            self(f"after {name}")
            return result

        return counted


def watch(moments: Moments) -> None:
    """Wrap what the flow calls."""
    import tasks.learning.objectives.run as training_run
    from flows import retrain as flow
    from tasks import decide, evaluate, prepare, publish_report, release, train
    from tasks.common import files
    from tasks.learning import fit
    from tasks.tracking.client import Tracking
    from tasks.tracking.registry import Registry

    faces = {"prepare": prepare, "train": train, "evaluate": evaluate, "decide": decide, "release": release, "show": publish_report}
    for face, names in TASKS.items():
        for name in names:
            task = getattr(faces[face], name)
            task.fn = moments.around(task.fn, name)
    owners = (
        (Tracking, TRACKED),
        (Registry, ("set_champion",)),
        (flow, FLOW),
        (files, ("_write_manifest",)),
        (fit, ("keep_newest",)),
    )
    for owner, names in owners:
        for name in names:
            setattr(owner, name, moments.around(getattr(owner, name), name))
    release.Reload.ask = moments.around(release.Reload.ask, "ask")  # type: ignore[method-assign]
    release.Reload.answers = moments.around(release.Reload.answers, "answers")  # type: ignore[method-assign]
    train._listener = _noting_steps(train._listener, moments)
    training_run.finished_fit = _noting_found(training_run.finished_fit, moments)


def _noting_steps(make: Callable[..., Any], moments: Moments) -> Callable[..., Any]:
    from dataclasses import replace

    def made(*given: Any) -> Any:
        listener = make(*given)
        first = [True]

        def progress(step: int, total: int) -> None:
            if first.pop() if first else False:
                moments.note("training", f"step {step} of {total}")
            if step in STEPS:
                moments(f"step {step}")
            listener.progress(step, total)

        return replace(listener, progress=progress)

    return made


def _noting_found(find: Callable[..., Any], moments: Moments) -> Callable[..., Any]:
    def found(run: Path) -> Any:
        done = find(run)
        if done is not None:
            moments.note("training", "found finished")
        return done

    return found


def main() -> None:
    """Live."""
    config, notes, *last = sys.argv[1:]
    live(config, notes, int(last[0]) if last else None)


def forked(environment: dict[str, str], config: str, notes: str, last: int | None) -> None:
    """The same in a child of a process that has imported everything already; what it says goes to a file beside its notes."""
    os.environ.clear()
    os.environ |= environment
    tempfile.tempdir = None
    with Path(notes).with_suffix(".said").open("a") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    live(config, notes, last)


def live(config: str, notes: str, last: int | None) -> None:
    """Retrain, noting the moments, up to number `last`."""
    moments = Moments(Path(notes), last)
    moments.note("start", "python is up")
    from tasks.common.home import find_home, settle_environment

    settle_environment(find_home())
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    watch(moments)
    from flows.__main__ import main as command

    sys.argv = ["tunekeeper", "retrain", config, "--json"]
    command()


if __name__ == "__main__":
    main()
