"""Keep processes alive: start them in order, wait until they answer, restart them when they die, end them in order when asked."""

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
QUICK_SECONDS = 30.0  # a process that dies sooner has a cause that a restart does not mend
QUICK_DEATHS = 5
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
LAST_LINES = 15
ROTATE_SECONDS = 5.0


class ChildProcess(Protocol):
    """A started process: `ended` is its exit code once it has died, `stop` asks it to end, a second time by force.

    `stays` says that it goes on when it was asked to end, for others that use it.
    """

    pid: int | None
    stays: bool

    def ended(self) -> int | None: ...
    def stop(self) -> None: ...
    def over(self) -> bool: ...


@dataclass(frozen=True)
class SupervisedProcess:
    """A process to keep alive: `ready` says that it answers; it starts after those in `after`, and a lower `stage` ends first."""

    name: str
    url: str
    log: Path
    start: Callable[[], ChildProcess]
    ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    stage: int = 0
    hopeless: frozenset[int] = frozenset()  # exit codes after which starting again is in vain


class GuardedProcess:
    """A command under a guard (flows/local/guard.py), which ends it and all its offspring should this process be killed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, grace: float) -> None:
        self.heard, writer = os.pipe()
        with log_file(log) as out:
            self.guard = subprocess.Popen(
                [sys.executable, "-m", "flows.local.guard", str(grace), *command],
                stdin=subprocess.PIPE, stdout=writer, stderr=out, start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        os.close(writer)
        os.set_blocking(self.heard, False)
        self.pid: int | None = self.guard.pid
        self.stays = False
        self.code: int | None = None

    def ended(self) -> int | None:
        """The command's exit code, or the guard's own if that was killed."""
        if self.code is None:
            with suppress(BlockingIOError):
                text = os.read(self.heard, 16)
                self.code = int(text) if text else self.guard.wait()
        return self.code

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.guard.terminate()

    def over(self) -> bool:
        return self.guard.poll() is not None


@dataclass
class _ServiceState:
    service: SupervisedProcess
    child: ChildProcess | None = None
    started: float = 0.0
    ready_after: float | None = None  # seconds
    deaths: int = 0
    due: float = 0.0
    left: list[ChildProcess] = field(default_factory=list)  # dead, but their offspring may finish


class Supervisor:
    """Keeps services until it is asked to stop; raises InfraError where one cannot be kept."""

    def __init__(
        self, services: Sequence[SupervisedProcess], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kept = {service.name: _ServiceState(service) for service in services}
        self.say, self.clock = say, clock
        self.helpers: list[ChildProcess] = []  # not kept, only ended
        self.asked = 0
        self.others: frozenset[psutil.Process] = frozenset()  # offspring of this process that is none of ours

    def run(self, on_ready: Callable[[dict[str, float]], None], patience: Sequence[float]) -> None:
        """Keep them all until SIGINT, SIGTERM or SIGHUP; `on_ready` gets seconds by name once; `patience` is per stage."""
        guard.process_control(guard.ADOPT, 1)  # a killed guard's offspring is found here
        self.others = frozenset(guard.list_offspring())
        with self._count_signals():
            try:
                announced, rotated = False, self.clock()
                while not self.asked:
                    if self.clock() - rotated >= ROTATE_SECONDS:
                        rotated = self._rotate_logs()
                    for state in self.kept.values():
                        self._update_service(state)
                    seconds = {name: state.ready_after for name, state in self.kept.items() if state.ready_after is not None}
                    if not announced and len(seconds) == len(self.kept):
                        on_ready(seconds)
                        announced = True
                    time.sleep(POLL_SECONDS)
            finally:
                self._end_services(patience)

    def _rotate_logs(self) -> float:
        """Cut the logs that have grown large; returns the time."""
        for state in self.kept.values():
            rotate_log(state.service.log)
        return self.clock()

    def pids(self) -> dict[str, int | None]:
        return {name: state.child.pid for name, state in self.kept.items() if state.child is not None}

    @contextmanager
    def _count_signals(self) -> Iterator[None]:
        def ask(*_: object) -> None:
            self.asked += 1

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _update_service(self, state: _ServiceState) -> None:
        now, service = self.clock(), state.service
        if state.child is None:
            waits = any(self.kept[name].ready_after is None for name in service.after if name in self.kept)
            if not waits and now >= state.due:
                state.child, state.started = service.start(), now
            return
        code = state.child.ended()
        if code is not None:
            self._schedule_restart(state, code, now - state.started)
        elif state.ready_after is None or state.due:
            self._check_ready(state, now)

    def _check_ready(self, state: _ServiceState, now: float) -> None:
        """Note that it answers, for the first time or again."""
        if state.service.ready():
            if state.due:
                self.say(f"{state.service.name} is back after {now - state.started:.0f} s")
            state.ready_after, state.due = state.ready_after or now - state.started, 0.0
        elif now - state.started > START_SECONDS:
            raise InfraError(
                f"{state.service.name} does not answer {START_SECONDS:.0f} s after its start.{_last_lines(state.service.log)}"
            )

    def _schedule_restart(self, state: _ServiceState, code: int, lived: float) -> None:
        """Start it again in a while, or give up on what keeps dying."""
        service = state.service
        state.deaths = state.deaths + 1 if lived < QUICK_SECONDS else 1
        how = f"{service.name} {_exit_text(code)} after {lived:.0f} s"
        hopeless = code in service.hopeless and state.ready_after is None
        if hopeless or state.deaths >= QUICK_DEATHS:
            times = f", {state.deaths} times in a row" if state.deaths > 1 else ""
            raise InfraError(f"{how}{times}: mend the cause, then run again.{_last_lines(service.log)}")
        pause = min(PAUSE_SECONDS * 2 ** (state.deaths - 1), LONGEST_PAUSE_SECONDS)
        self.say(f"{how}: it starts again in {pause:g} s; log: {service.log}")
        if state.child is not None:
            state.left.append(state.child)
        state.child, state.due = None, self.clock() + pause

    def _end_services(self, patience: Sequence[float]) -> None:
        """End stage by stage, so that flow runs can still report to the servers; a second request ends all at once, by force."""
        for stage, seconds in enumerate(patience):
            states = [state for state in self.kept.values() if state.service.stage == stage]
            children = [child for state in states for child in (*state.left, *([state.child] if state.child else []))]
            children += self.helpers if stage == 0 else []
            for child in children:
                child.stop()
            requests, deadline = self.asked, self.clock() + seconds
            while not all(child.over() for child in children) and self.clock() < deadline:
                if self.asked > max(requests, 1):
                    requests = self.asked
                    for child in children:
                        child.stop()
                time.sleep(POLL_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):  # strays are a killed guard's offspring, or do not end when asked
            if strays := self._lingering_processes():
                for process in strays:
                    guard.send_signal(process, number)
                time.sleep(1)

    def _lingering_processes(self) -> list[psutil.Process]:
        """Offspring that should have ended by now."""
        staying = {state.child.pid for state in self.kept.values() if state.child is not None and state.child.stays}
        return [process for process in guard.list_offspring() if process not in self.others and process.pid not in staying]


def _exit_text(code: int) -> str:
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
