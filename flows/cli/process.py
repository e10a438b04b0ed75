"""A command as a process: its streams, its encoding, its end, and what it says where it fails."""

from __future__ import annotations

import errno
import locale
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import NoReturn

from configs.errors import InfraError, InputError, StoppedError
from tasks.common.terminal import terminal_text

DISK = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS), "mend the disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "make it this user's to read and write"),
    errno.EFBIG: "raise this user's limit on the size of files (ulimit -f)",
}


def open_standard_streams() -> None:
    """Open those of descriptors 0, 1 and 2 that the caller closed: the next file would get their number, and be written into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (as long as the process)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def restart_in_utf8() -> None:
    """Begin this process anew in Python's UTF-8 mode, where the locale's encoding is another: files and pages are UTF-8."""
    if not sys.flags.utf8_mode and locale.getencoding().lower().replace("-", "") != "utf8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  (this process, as it was begun)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of another encoding ends no command


def write_output(text: str) -> None:
    """Write to standard output at once. InfraError where it takes no more; nothing where nobody reads any longer."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise InfraError(f"standard output: {error.strerror}: write it elsewhere; what was done is kept") from error


def exit_process(code: list[int]) -> None:
    """End the process here: to take the imported libraries apart piece by piece takes seconds, and is of no use."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads, or it takes no more: the command has said so
            stream.flush()
    os._exit(code[0])


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, on its way through the code that is interrupted, as Ctrl-C is."""


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, unless other code handles it: a flow tells Prefect first, a service closes."""

    def stop(*_: object) -> NoReturn:
        raise _TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, StoppedError):
        return 128 + error.signal
    return 2 if isinstance(error, InputError) else 1


def _stopped_error(error: KeyboardInterrupt) -> StoppedError:
    """The error for a Ctrl-C or a SIGTERM, with how to go on."""
    number, name = (signal.SIGTERM, "SIGTERM") if isinstance(error, _TerminatedError) else (signal.SIGINT, "Ctrl-C")
    return StoppedError(f"stopped by {name}; what was finished is kept: run the same command to go on", number)


def _unwrap_error(error: BaseException) -> BaseException:
    """Our own error, where a library wrapped it in its own; else `error` itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError | InfraError | StoppedError):
            return cause
        if isinstance(cause, OSError) and cause.errno in DISK:
            place = cause.filename or os.environ.get("TUNEKEEPER_HOME", ".tunekeeper")
            return InfraError(
                f"{place}: {cause.strerror}: {DISK[cause.errno]}, then run the same command again; what was done is kept"
            )
        cause = cause.__cause__ or cause.__context__
    return error


def print_error(error: BaseException, debug: bool) -> int:
    """One line for the user, with the traceback on request; returns the exit code."""
    cause = _stopped_error(error) if isinstance(error, KeyboardInterrupt) else _unwrap_error(error)
    kind = "" if isinstance(cause, InputError | InfraError | StoppedError) else f"{type(cause).__name__}: "
    with suppress(OSError, ValueError):
        if debug:
            sys.stderr.write(terminal_text("".join(traceback.format_exception(cause))))
        sys.stderr.write(terminal_text(f"error: {kind}{cause}\n"))
    return _exit_code(cause)
