"""Run a command, and end it with all its offspring when its owner asks or dies, so that a killed `up` leaves no orphans.

`python -m flows.local.guard GRACE COMMAND...`. Where standard input is a pipe, it is the owner's, whose death closes it;
in a container there is none, and the guard is the first process. Standard output tells the owner the exit code of the command; both
outputs of the command go to standard error, the log.

A kernel's parent-death signal alone is not enough: it reaches one process, and Prefect's worker starts each flow run in its own
session. So the guard adopts what its offspring leaves behind and ends all of it. A flow run whose worker died may finish.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress

import psutil

POLL_SECONDS = 0.1
ORPHAN_SECONDS = 10.0  # what a process whose owner was killed gets to save its work
KILL_SECONDS = 3.0
ADOPT, DIE_WITH_PARENT = 36, 1  # PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG


def process_control(option: int, value: int) -> None:
    """Linux's prctl; on other systems nothing, and then only direct offspring is found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    """Run the command until it and all it left behind have ended; exit as it did, or 0 when asked to end."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    owned = stat.S_ISFIFO(os.fstat(0).st_mode)
    signals: list[int] = []
    for signal_number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signal_number, lambda number, _: signals.append(number))
    process_control(ADOPT, 1)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, preexec_fn=_die_with_parent).pid
    reported, codes = False, dict[int, int]()
    while True:
        orphaned = _owner_is_gone(owned)
        codes |= reap_offspring()
        if signals or orphaned:
            _end_all(child, min(grace, ORPHAN_SECONDS) if orphaned else grace, signals)
            return
        if child in codes and not reported:
            reported = _report_code(codes[child]) if owned else True
            _end_session()
        if reported and not psutil.Process().children():
            sys.exit(max(codes[child], 0) or int(codes[child] < 0))


def _die_with_parent() -> None:
    process_control(DIE_WITH_PARENT, signal.SIGTERM)


def _owner_is_gone(owned: bool) -> bool:
    """Wait a moment for the owner's pipe to close, if there is one; whether it has."""
    ready, _, _ = select.select([0] if owned else [], [], [], POLL_SECONDS)
    return bool(ready) and not os.read(0, 1)


def _report_code(code: int) -> bool:
    with suppress(BrokenPipeError):
        os.write(1, f"{code}\n".encode())
    return True


def reap_offspring() -> dict[int, int]:
    """Exit codes, by process id, of the offspring that has ended, the adopted too."""
    codes = {}
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])
    return codes


def _end_session() -> None:
    """End what the command left in its own session; other sessions, a worker's flow runs, may finish."""
    for process in psutil.Process().children(recursive=True):
        if _session_of(process.pid) == os.getsid(0):
            send_signal(process, signal.SIGKILL)


def _end_all(child: int, grace: float, signals: list[int]) -> None:
    """End leaders of other sessions first (flow runs: they save, and report to servers that still stand), then all, then by force.

    A second signal ends everything at once.
    """
    deadline, patience = time.monotonic() + grace, len(signals)
    leaders = [process for process in list_offspring() if process.pid != child and _session_of(process.pid) == process.pid]
    for process in leaders:
        send_signal(process, signal.SIGTERM)
    while any(map(_is_alive, leaders)) and time.monotonic() < deadline - 1 and len(signals) == patience:
        _wait_and_reap()
    for process in list_offspring():
        send_signal(process, signal.SIGTERM)
    while list_offspring() and time.monotonic() < deadline and len(signals) == patience:
        _wait_and_reap()
    deadline = time.monotonic() + KILL_SECONDS
    while (rest := list_offspring()) and time.monotonic() < deadline:
        for process in rest:
            send_signal(process, signal.SIGKILL)
        _wait_and_reap()


def list_offspring() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def send_signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait_and_reap() -> None:
    time.sleep(POLL_SECONDS)
    reap_offspring()


if __name__ == "__main__":
    main()
