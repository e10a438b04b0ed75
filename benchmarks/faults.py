"""`make demo` while its processes are killed with kill -9, one after the other: `python -m benchmarks.faults`

MLflow's server, the service, Prefect's server, the worker, the retraining itself in the midst of its training, and `tunekeeper up`.
The story must still end right: version 2 promoted on its evidence, the rollback followed, every answer but those of the last second
before a kill in the log, no request failed but while the service was being started again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import small
from examples.helpdesk import demo

LOST_SECONDS = 1.0  # of the traffic log, at most, by a kill
TRAINING_SECONDS = 4.0  # into its training the retraining is killed


@dataclass
class Told(demo.Story):
    """A story whose lines are kept."""

    lines: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        self.lines.append(sentence)
        sys.stderr.write(f"  {time.monotonic() - self.began:5.0f} s  {sentence}\n")


@dataclass
class Rehearsal(Told):
    """A story in which something dies at every moment."""

    service: demo.Service = field(default_factory=lambda: demo.Service(""))
    stack: ExitStack = field(default_factory=ExitStack)
    config: Path = Path()
    killed: list[tuple[str, float]] = field(default_factory=list)  # what, the moment by time.monotonic

    def at(self, moment: str) -> None:
        match moment:
            case "quiet":
                self.kill("MLflow's server", lambda: one("-m", "mlflow", "server"))
                self.kill("the service", lambda: one("-m", "flows", "serve"))
            case "launched":
                self.kill("Prefect's server", lambda: one("-m", "flows.local.server"))
            case "alarmed":
                self.kill("the worker", lambda: one("worker", "start"))
                self.kill("the retraining", training, "in mid-training")
            case "rolled back":
                self.kill("`tunekeeper up`", lambda: one("-m", "flows", "up"))
                self.stack.enter_context(demo.up(self, self.config))
                self.wait("the service again", lambda: self.service.ready("1"))

    def kill(self, what: str, find: Callable[[], psutil.Process | None], when: str = "") -> None:
        """Kill it, and see that its place is taken again; whose business that is, it must do without being asked."""
        process = self.wait(what, find)
        process.kill()
        began = time.monotonic()
        self.killed.append((what, began))
        self.tell(f"kill -9 {what} {when}".rstrip())
        if what == "the service":
            self.wait("the service again", self.service.ready)
            self.tell(f"the service answers again after {time.monotonic() - began:.0f} s")


def processes() -> list[psutil.Process]:
    """Those of this demo's home, oldest first."""
    mark, found = f"TUNEKEEPER_HOME={demo.HOME.absolute()}\0".encode(), []
    for process in psutil.process_iter(["create_time"]):
        try:
            if mark in (Path("/proc") / str(process.pid) / "environ").read_bytes():
                found.append(process)
        except OSError:
            continue
    return sorted(found, key=lambda each: each.info["create_time"])


def one(*words: str) -> psutil.Process | None:
    """The process itself, not its guard, whose command line has these words in a row."""
    for process in processes():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "flows.local.guard" not in line and any(tuple(line[i : i + len(words)]) == words for i in range(len(line))):
            return process
    return None


def training() -> psutil.Process | None:
    """The flow run that trains, some steps into it: of the worker's runs the one that has used the processors most."""
    journals = list((demo.HOME / "runs").glob("*/metrics.jsonl"))
    if len(journals) < 2:
        return None
    time.sleep(TRAINING_SECONDS)
    runs = []
    for process in processes():
        try:
            if "PREFECT__FLOW_RUN_ID" in process.environ() and process.ppid() != 1:
                runs.append((process.cpu_times().user, process))
        except psutil.Error:
            continue
    return max(runs, key=lambda pair: pair[0])[1] if runs else None


def section() -> str:
    """The story as Markdown, and what it ended with."""
    os.chdir(small.ROOT)
    demo.environment()
    config = demo.write_config()
    with ExitStack() as stack:
        story = Rehearsal(stack=stack, config=config)
        demo.learn(story, config)
        addresses = stack.enter_context(demo.up(story, config))
        story.service = demo.Service(addresses["service"])
        customers = demo.play(story, config, story.service)
    claims = [*judged(story, customers), *after(config)]
    return "\n".join(
        [
            "## The demo under kill -9",
            "",
            f"`make demo`'s story while {len(story.killed)} processes are killed with SIGKILL in turn: "
            f"{', '.join(what for what, _ in story.killed)}. What it told:",
            "",
            *(f"    {line}" for line in story.lines),
            "",
            "| claim | seen | holds |",
            "|---|---|---|",
            *(f"| {claim} | {seen} | {'yes' if holds else '**no**'} |" for claim, seen, holds in claims),
        ]
    )


def judged(story: Rehearsal, customers: demo.Customers) -> list[tuple[str, str, bool]]:
    """Claim, what was seen, whether it holds."""
    lost = demo.unlogged(customers)
    service_dies = [moment for what, moment in story.killed if what in ("the service", "`tunekeeper up`")]
    elsewhere = [text for moment, text in customers.failed if not any(0 <= moment - dies < 60 for dies in service_dies)]
    seen = customers.versions
    most = int(len(service_dies) * demo.CLIENTS * (1 + LOST_SECONDS / demo.PAUSE))
    return [
        ("both versions answered", str(dict(seen)), set(seen) == {"1", "2"}),
        ("requests failed while the service stood", f"{len(elsewhere)}, {len(customers.failed) - len(elsewhere)} while it was down",
         not elsewhere),
        (f"acknowledged answers not in the log: those of the last second, at most {most}", f"{lost} of {len(customers.answers):,}",
         lost <= most),
    ]  # fmt: skip


def after(config: Path) -> list[tuple[str, str, bool]]:
    """What disk, ledger and registry say when all has ended."""
    left = [" ".join(process.cmdline()[1:3]) for process in processes() if process.pid != os.getpid()]
    kinds = [one["kind"] for one in demo.command("history", config)["history"]]
    mended = demo.command("reconcile", config)
    return [
        (
            "left behind: nothing but Prefect's server, which ends itself when idle",
            f"{left}",
            all("flows.local.server" in line for line in left),
        ),
        ("promotions", ", ".join(kinds), sorted(kinds) == ["FIRST", "PROMOTE", "ROLLBACK"]),
        ("`reconcile` puts right what is left", "yes" if mended["ok"] else str(mended)[:300], mended["ok"]),
    ]


def main() -> None:
    """Print the section."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(section())


if __name__ == "__main__":
    main()
