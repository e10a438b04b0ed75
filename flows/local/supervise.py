"""Processes kept alive: started in order, awaited, started again when they die, ended in order when asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from configs.errors import InfraError
from flows.local import guard
from flows.local.logs import log_file, rotate_log

POLL_SECONDS = 0.2
START_SECONDS = 120.0  # a first start makes databases
QUICK_SECONDS = 30.0  # who dies sooner has a cause that a restart does not mend
QUICK_DEATHS = 5
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
LAST_LINES = 15
ROTATE_SECONDS = 5.0


class Child(Protocol):
    """A started process: `ended` is its exit code once it has died, `stop` asks it to end, a second time by force.

    `stays` says that it goes on when it was asked to end, for others who use it.
    """

    pid: int | None
    stays: bool

    def ended(self) -> int | None: ...
    def stop(self) -> None: ...
    def over(self) -> bool: ...


@dataclass(frozen=True)
class SupervisedProcess:
    """What is kept: `ready` says that it answers; it starts after those named, and a lower `stage` ends first."""

    name: str
    url: str
    log: Path
    start: Callable[[], Child]
    ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    stage: int = 0
    hopeless: frozenset[int] = frozenset()  # exit codes after which starting again is in vain


class Guarded:
    """A command under a guard (flows/local/guard.py), which ends it and all its offspring should this process be killed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, grace: float) -> None:
        self.heard, told = os.pipe()
        with log_file(log) as out:
            self.guard = subprocess.Popen(
                [sys.executable, "-m", "flows.local.guard", str(grace), *command],
                stdin=subprocess.PIPE, stdout=told, stderr=out, start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        os.close(told)
        os.set_blocking(self.heard, False)
        self.pid: int | None = self.guard.pid
        self.stays = False
        self.code: int | None = None

    def ended(self) -> int | None:
        """The command's exit code, or the guard's own if that was killed."""
        if self.code is None:
            with suppress(BlockingIOError):
                said = os.read(self.heard, 16)
                self.code = int(said) if said else self.guard.wait()
        return self.code

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.guard.terminate()

    def over(self) -> bool:
        return self.guard.poll() is not None


@dataclass
class _Kept:
    service: SupervisedProcess
    child: Child | None = None
    started: float = 0.0
    ready_after: float | None = None  # seconds
    deaths: int = 0
    due: float = 0.0
    left: list[Child] = field(default_factory=list)  # dead, but what they began is let finish


class Supervisor:
    """Keeps services until it is asked to stop; raises InfraError where one cannot be kept."""

    def __init__(
        self, services: Sequence[SupervisedProcess], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kept = {service.name: _Kept(service) for service in services}
        self.say, self.clock = say, clock
        self.helpers: list[Child] = []  # not kept, only ended
        self.asked = 0
        self.others: frozenset[psutil.Process] = frozenset()  # offspring of this process that is none of ours

    def run(self, on_ready: Callable[[dict[str, float]], None], patience: Sequence[float]) -> None:
        """Keep them all until SIGINT, SIGTERM or SIGHUP; `on_ready` gets seconds by name once; `patience` is per stage."""
        guard.process_control(guard.ADOPT, 1)  # a killed guard's offspring is found here
        self.others = frozenset(guard.list_offspring())
        with self._signals():
            try:
                told, rotated = False, self.clock()
                while not self.asked:
                    if self.clock() - rotated >= ROTATE_SECONDS:
                        rotated = self._rotate()
                    for kept in self.kept.values():
                        self._tend(kept)
                    seconds = {name: kept.ready_after for name, kept in self.kept.items() if kept.ready_after is not None}
                    if not told and len(seconds) == len(self.kept):
                        on_ready(seconds)
                        told = True
                    time.sleep(POLL_SECONDS)
            finally:
                self._end(patience)

    def _rotate(self) -> float:
        """Cut the logs that have grown large; when that was."""
        for kept in self.kept.values():
            rotate_log(kept.service.log)
        return self.clock()

    def pids(self) -> dict[str, int | None]:
        return {name: kept.child.pid for name, kept in self.kept.items() if kept.child is not None}

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def ask(*_: object) -> None:
            self.asked += 1

        before = {which: signal.signal(which, ask) for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)

    def _tend(self, kept: _Kept) -> None:
        now, service = self.clock(), kept.service
        if kept.child is None:
            waits = any(self.kept[name].ready_after is None for name in service.after if name in self.kept)
            if not waits and now >= kept.due:
                kept.child, kept.started = service.start(), now
            return
        code = kept.child.ended()
        if code is not None:
            self._bury(kept, code, now - kept.started)
        elif kept.ready_after is None or kept.due:
            self._await(kept, now)

    def _await(self, kept: _Kept, now: float) -> None:
        """Note that it answers, for the first time or again."""
        if kept.service.ready():
            if kept.due:
                self.say(f"{kept.service.name} is back after {now - kept.started:.0f} s")
            kept.ready_after, kept.due = kept.ready_after or now - kept.started, 0.0
        elif now - kept.started > START_SECONDS:
            raise InfraError(
                f"{kept.service.name} does not answer {START_SECONDS:.0f} s after its start.{_last_lines(kept.service.log)}"
            )

    def _bury(self, kept: _Kept, code: int, lived: float) -> None:
        """Start it again in a while, or give up on what keeps dying."""
        service = kept.service
        kept.deaths = kept.deaths + 1 if lived < QUICK_SECONDS else 1
        how = f"{service.name} {_ended(code)} after {lived:.0f} s"
        hopeless = code in service.hopeless and kept.ready_after is None
        if hopeless or kept.deaths >= QUICK_DEATHS:
            times = f", {kept.deaths} times in a row" if kept.deaths > 1 else ""
            raise InfraError(f"{how}{times}: mend the cause, then run again.{_last_lines(service.log)}")
        pause = min(PAUSE_SECONDS * 2 ** (kept.deaths - 1), LONGEST_PAUSE_SECONDS)
        self.say(f"{how}: it starts again in {pause:g} s; log: {service.log}")
        if kept.child is not None:
            kept.left.append(kept.child)
        kept.child, kept.due = None, self.clock() + pause

    def _end(self, patience: Sequence[float]) -> None:
        """Stage by stage, so that what runs can still report to the servers; asked once more: by force, at once."""
        for stage, seconds in enumerate(patience):
            kept = [one for one in self.kept.values() if one.service.stage == stage]
            children = [child for one in kept for child in (*one.left, *([one.child] if one.child else []))]
            children += self.helpers if stage == 0 else []
            for child in children:
                child.stop()
            asked, deadline = self.asked, self.clock() + seconds
            while not all(child.over() for child in children) and self.clock() < deadline:
                if self.asked > max(asked, 1):
                    asked = self.asked
                    for child in children:
                        child.stop()
                time.sleep(POLL_SECONDS)
        for send in (signal.SIGTERM, signal.SIGKILL):  # what is still there was a killed guard's, or does not end when asked
            if strays := self._strays():
                for process in strays:
                    guard.send_signal(process, send)
                time.sleep(1)

    def _strays(self) -> list[psutil.Process]:
        """Offspring that should have ended by now."""
        staying = {kept.child.pid for kept in self.kept.values() if kept.child is not None and kept.child.stays}
        return [process for process in guard.list_offspring() if process not in self.others and process.pid not in staying]


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        return f" It left no log at {log}"
    return f" The last lines of {log}:\n" + "\n".join(f"  {line}" for line in lines)
