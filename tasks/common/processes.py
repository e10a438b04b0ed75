"""A second process beside this one: it imports while this one prepares, and does what needs neither the network nor its memory.

The duties of such a process to its parent stand here too, and imports without a search for garbage.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar

from configs.errors import InfraError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # two that wait for each other spin, and take what others need
PREPARING = ("datasets", "expectations.custom")  # what preparation needs first
ENDED = "the process beside this one was ended, as the system does where memory is short: run again"
P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process, and of those that it starts, for the block; then it is as before."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class HelperProcess:
    """A fresh interpreter that has imported `modules` and does what is submitted, in order; functions and values must pickle.

    Not `multiprocessing`: its spawn runs the caller's script a second time, which trains twice where that has no main guard.
    """

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, "-m", "tasks.common.processes", str(os.getpid()), *modules]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD})
        self._turns = ThreadPoolExecutor(1)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The Future of its answer; InfraError where the process was ended, and whatever the function raises."""
        return self._turns.submit(self._send_job, pickle.dumps((function, args, kwargs)))

    def step_back(self) -> None:
        """Do what is submitted from here on in time that others leave."""
        self.submit(step_back)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it, whatever it is at; what was submitted and is not done raises InfraError."""
        self._process.kill()
        self._process.wait()
        self._turns.shutdown()

    def _send_job(self, job: bytes) -> Any:
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise InfraError("the process beside this one has no pipes: report this")
        if not self.alive:
            raise InfraError(ENDED)
        try:
            requests.write(job)
            requests.flush()
            answer, error = pickle.load(answers)  # noqa: S301  (our own child's)
        except (EOFError, OSError) as fault:
            self._process.kill()
            self._process.wait()
            raise InfraError(ENDED) from fault
        if error is not None:
            raise error
        return answer


class RestartedProcess:
    """A helper process for as long as this one lives: begun with the first task, and again where it was ended."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._beside: HelperProcess | None = None
        self._lock = Lock()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `HelperProcess.submit`; what is done here is done in time that others leave."""
        with self._lock:
            if self._beside is None or not self._beside.alive:
                self.close()
                self._beside = HelperProcess(*self._modules)
                self._beside.step_back()
            return self._beside.submit(function, *args, **kwargs)

    def result(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer itself, asked for once more where the process was ended; then InfraError."""
        try:
            return self.submit(function, *args, **kwargs).result()
        except InfraError:
            return self.submit(function, *args, **kwargs).result()

    def close(self) -> None:
        """End the process; the next task begins another."""
        if self._beside is not None:
            self._beside.close()
            self._beside = None


_begun: list[HelperProcess] = []


@contextmanager
def helper_started() -> Iterator[None]:
    """Start a process that prepares, for `helper_process` to give out: while this one imports, a second core has nothing to do."""
    _begun.append(HelperProcess(*PREPARING))
    try:
        yield
    finally:
        while _begun:
            _begun.pop().close()


def helper_process() -> HelperProcess:
    """The process that was begun, or one that begins now; the caller closes it."""
    return _begun.pop() if _begun else HelperProcess(*PREPARING)


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


def step_back() -> None:
    """Let this process, on Linux this thread and those it starts, take what others leave of the cores, and a tenth of the rest.

    No less: where a machine is busy for hours, a user waits for what is done here.
    """
    os.nice(10)


def die_with(parent: int) -> None:
    """End this process within seconds of the end of `parent`, which started it: work without a receiver is not worth finishing."""
    Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Import, then answer until the parent closes the pipe or dies; what is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    die_with(int(sys.argv[1]))
    with quick_import():
        for module in sys.argv[2:]:
            import_module(module)
    while True:
        try:
            function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301  (our own parent's)
        except EOFError:
            os._exit(0)
        done = _outcome_of_call(function, args, kwargs)
        try:
            pickle.dump(done, answers)
            answers.flush()
        except BrokenPipeError:  # the parent is gone
            os._exit(1)


def _outcome_of_call(
    function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[object, Exception | None]:
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001  (raised again where it was asked for)
        return None, error


if __name__ == "__main__":
    main()
