"""Where state lives on this machine, and the environment that keeps every library quiet, local and private."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from configs.credentials import CleanLogRecord, show_uncaught
from configs.errors import InfraError, InputError

# Set before the libraries are imported; a value that the user has set stays.
ENVIRONMENT = {
    "PYTHONUTF8": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for `--json`
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # a client that knows no address fails, and starts no second server
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
# OpenMP's threads wait for one another in a loop, which takes the cores from whatever runs beside a training: with two busy
# processes on two cores it was nine times slower. After so many rounds a thread sleeps; alone that costs 0 to 7 %.
SPIN_COUNT = {"GOMP_SPINCOUNT": "1000"}
THREAD_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # either of them set by the user is the user's choice
_MLFLOW_VARIABLE = re.compile(r"^MLFLOW_TRACKING_URI=.*?(?=mlflow models )")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")  # no proxy knows the way to the servers of this one
PAGES = ("runs", "looks", "docs")  # folders of a home in which pages lie


@dataclass(frozen=True)
class Home:
    """The folder of all local state, and the three addresses that move parts of it to servers."""

    path: Path

    @property
    def tracking_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.path / 'mlflow.db'}"

    @property
    def tracking_file(self) -> Path | None:
        """The file that holds MLflow's database, whether it is there or not; None where a server keeps it."""
        _, is_file, path = self.tracking_uri.partition("sqlite:///")
        return Path(path.partition("?")[0]) if is_file else None

    @property
    def tracking_pages(self) -> str | None:
        """Where a browser finds MLflow's pages, if a server shows them; inside a container its address is another one."""
        server = self.tracking_uri if self.tracking_uri.startswith("http") else None
        address = os.environ.get("TUNEKEEPER_MLFLOW_PAGES") or server
        return address.rstrip("/") if address else None

    @property
    def tracks_here(self) -> bool:
        """Whether MLflow's database is this home's own, which other programs do not find by themselves."""
        return self.tracking_uri.startswith(f"sqlite:///{self.path}/")

    @property
    def mlflow_variable(self) -> str:
        """What stands before a command of MLflow's, for a shell, so that it finds this home's database; empty where it does."""
        return f"MLFLOW_TRACKING_URI={shlex.quote(self.tracking_uri)} " if self.tracks_here else ""

    def at_this_home(self, command: str) -> str:
        """A recorded command with the variable of this home, which may have been moved or copied since."""
        return _MLFLOW_VARIABLE.sub(lambda _: self.mlflow_variable, command)

    @property
    def ledger_url(self) -> str:
        return os.environ.get("TUNEKEEPER_LEDGER_URL") or f"sqlite:///{self.path / 'ledger.db'}"

    @property
    def ledger_file(self) -> Path | None:
        """Its own ledger; None where TUNEKEEPER_LEDGER_URL names another."""
        return None if os.environ.get("TUNEKEEPER_LEDGER_URL") else self.path / "ledger.db"

    @property
    def traffic_url(self) -> str | None:
        """The database of the traffic log; None: Parquet under this home."""
        return os.environ.get("TUNEKEEPER_TRAFFIC_URL") or None

    @property
    def prefect(self) -> Path:
        return self.path / "prefect"

    @property
    def prefect_database(self) -> Path:
        """Where a server of this home keeps its record of runs."""
        return self.prefect / "prefect.db"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    def locate(self, recorded: str | Path) -> Path:
        """Where a recorded path lies now: in this home, which may have been moved or copied since, else as recorded."""
        path = Path(recorded)
        if path.is_relative_to(self.path) or not path.is_absolute():
            return path
        inside = (self.path.joinpath(*path.parts[start:]) for start in range(1, len(path.parts)))
        return next((place for place in inside if place.exists()), path)

    def locate_page(self, recorded: str | Path) -> Path:
        """Where a page of a run, a look or a contract lies now; what this home's own ledger names is looked for in this home alone.

        The home that this is a copy of may still be there, and go another way.
        """
        place = self.locate(recorded)
        own = self.ledger_url.startswith(f"sqlite:///{self.path}/")
        start = max((number for number, part in enumerate(place.parts) if part in PAGES), default=None)
        if not own or start is None or place.is_relative_to(self.path):
            return place
        return self.path.joinpath(*place.parts[start:])

    def run(self, train_key: str) -> Path:
        """Where the training of one train-key keeps its checkpoints and its result."""
        return self.path / "runs" / train_key


def configured_home() -> Home:
    """$TUNEKEEPER_HOME, else .tunekeeper in the working folder, whether it is there or not."""
    folder = os.environ.get("TUNEKEEPER_HOME") or ".tunekeeper"
    try:
        return Home(Path(folder).expanduser().absolute())
    except RuntimeError as error:
        raise InfraError(f"TUNEKEEPER_HOME={folder}: the home folder that ~ stands for is not known: write the path out") from error


def path_fault(path: Path) -> str | None:
    """Why a folder can be no home, if it cannot: databases would lie beside it, or MLflow would not find what it has stored."""
    if "?" in str(path):
        return "has a question mark in its path, where the addresses of databases end"
    escape = re.search(r"%[0-9A-Fa-f]{2}", str(path))
    return f"has `{escape[0]}` in its path, which MLflow reads as another character" if escape else None


def find_home() -> Home:
    """The named home, made if absent."""
    path = configured_home().path
    if fault := path_fault(path):
        raise InputError(f"{path} {fault}: set TUNEKEEPER_HOME to another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(f"cannot make {path} ({error.strerror}): set TUNEKEEPER_HOME to a folder that can be written") from error
    if not os.access(path, os.W_OK):
        raise InfraError(f"{path} cannot be written: set TUNEKEEPER_HOME to a folder that can")
    return Home(path)


def settle_environment(home: Home) -> None:
    """Set the environment of every library, before any is imported; processes started from here inherit it."""
    threads = {} if any(name in os.environ for name in THREAD_SETTINGS) else SPIN_COUNT
    for name, value in {**ENVIRONMENT, **threads, "PREFECT_HOME": str(home.prefect), "TUNEKEEPER_HOME": str(home.path)}.items():
        os.environ.setdefault(name, value)
    if any(os.environ.get(name) for name in PROXIES):
        _spare_this_machine()
    logging.setLogRecordFactory(CleanLogRecord)
    sys.excepthook = show_uncaught
    if threading.excepthook is threading.__excepthook__:  # another one is the program's own
        threading.excepthook = _show_uncaught_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _show_unraisable
    warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")  # of a home that is not there yet
    warnings.filterwarnings("ignore", category=FutureWarning)  # libraries to one another; users can do nothing about them


def _spare_this_machine() -> None:
    """Have no proxy asked for addresses of this machine, under both spellings of the variable; other exceptions stay."""
    hosts = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    absent = [host for host in THIS_MACHINE if host not in hosts.replace(" ", "").split(",")]
    if hosts.strip() != "*":
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*filter(None, [hosts.strip()]), *absent])


def _show_uncaught_in_thread(error: threading.ExceptHookArgs) -> None:
    if error.exc_value is not None and not isinstance(error.exc_value, SystemExit):  # which ends a thread in silence
        show_uncaught(error.exc_type, error.exc_value, error.exc_traceback)


def _show_unraisable(error: sys.UnraisableHookArgs) -> None:
    if error.exc_value is not None:
        show_uncaught(error.exc_type, error.exc_value, error.exc_traceback)
