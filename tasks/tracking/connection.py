"""The connection to MLflow: every call tried a few times, every failure reported with the address and the remedy."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from tenacity.stop import stop_base

from configs.credentials import MASK, without_credentials
from configs.errors import InfraError, InputError
from tasks.common.home import Home
from tasks.common.processes import environment_variable
from tasks.tracking.database import open_database

T = TypeVar("T")
PREFIX = "tunekeeper."  # of our tags
ATTEMPTS = 4
CONNECT_SECONDS = 10
SILENT_SECONDS = 60  # in which a server that takes requests has answered none: to ask it again helps nobody who waits
ADDRESS = re.compile(r"https?://[^/]|(sqlite|postgresql|mysql|mssql)(\+\w+)?://")  # of a server, or of a database
DELETED = re.compile(r"The (experiment|run) (\w+) must be in the 'active'")
CAUSE = re.compile(r"\(Caused by \w+\((.+)\)\)$", re.DOTALL)  # behind an address that takes all of a line
_one_at_a_time = threading.Lock()
REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


class Connection:
    """One tracking server; every call is tried a few times, then fails as InfraError with the address and the remedy.

    `only_look` leaves a database as it is, and says nothing of its address: for commands that report faults and mend nothing.
    `may_begin`: a database that MLFLOW_TRACKING_URI names, and that is not there, is made; for commands that read, it is the wrong
    one. Raises InputError for an address that cannot be one.
    """

    def __init__(
        self, home: Home, pause: Callable[[float], None] = time.sleep, *, only_look: bool = False, may_begin: bool = True
    ) -> None:
        if not only_look:
            check_address(home.tracking_uri)
        self.home, self.pause, self.only_look, self.may_begin = home, pause, only_look, may_begin and not only_look

    @cached_property
    def client(self) -> Any:
        import mlflow

        # it prints the traceback of every fault that `attempt` tells of
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        _check_database(self.home, self.may_begin)
        reach_database(self.home.tracking_uri)
        if not self.only_look:
            open_database(self.home)
        mlflow.set_tracking_uri(self.home.tracking_uri)
        mlflow.set_registry_uri(self.home.tracking_uri)
        return mlflow.MlflowClient(self.home.tracking_uri)

    def attempt(self, action: str, call: Callable[[], T]) -> T:
        """Call, and call again after pauses of 1, 2, 4 seconds where the server or its database does not answer.

        A server that has kept the connection open and silent for SILENT_SECONDS is not asked again.
        """
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS) | _stop_if_silent(), wait=wait_exponential(), retry=retry_if_exception(_is_temporary),
            sleep=self.pause, reraise=True,
        )  # fmt: skip
        try:
            return attempts(call)
        except tracking_failures() as error:
            raise self._fault(action, error) from error

    def _fault(self, action: str, error: Exception) -> InfraError:
        where = without_credentials(self.home.tracking_uri)
        return InfraError(f"MLflow at {where}: {action} failed ({_in_short(error)}): {_remedy(where, error)}, then run again")


@contextmanager
def sent_once() -> Iterator[None]:
    """What a block makes is asked for once: MLflow's client would ask again where an answer is lost, and there would be two.

    Call it within `Connection.attempt`, whose next try looks first for what is there.
    """
    with _one_at_a_time, environment_variable("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"):
        yield


def check_address(uri: str) -> None:
    """InputError for an address that is neither a server's nor a database's: MLflow takes some for a folder, and finds nothing."""
    if not ADDRESS.match(uri):
        shown_uri = without_credentials(uri) if "://" in uri or "@" not in uri else f"{MASK}@{uri.rpartition('@')[2]}"
        raise InputError(
            f"MLFLOW_TRACKING_URI={shown_uri} is no address of an MLflow: write http(s)://HOST, sqlite:///FILE or "
            "postgresql+psycopg2://HOST/DATABASE, or unset it to use the database in this home"
        )


def _check_database(home: Home, may_begin: bool) -> None:
    """Raise InfraError where MLFLOW_TRACKING_URI names a database that is absent and may not be made."""
    file = home.tracking_file
    if file is not None and not (may_begin or home.tracks_here or file.exists()):
        raise InfraError(
            f"MLFLOW_TRACKING_URI={home.tracking_uri}: there is no database {file}: is this the right MLflow? Correct the address; "
            "`tunekeeper retrain CONFIG` makes one there. Nothing was made or recorded"
        )


def restore_command(where: str, kind: str, name: str) -> str:
    """The command that takes back the deletion of an experiment or a run, for an MLflow at an address without a password."""
    option = "experiment-id" if kind == "experiment" else "run-id"
    return f"`MLFLOW_TRACKING_URI={where} mlflow {kind}s restore --{option} {name}`"


def _remedy(where: str, error: Exception) -> str:
    if deleted := DELETED.search(str(error)):
        return f"this {deleted[1]} was deleted; take it back with {restore_command(where, *deleted.groups())}"
    if getattr(error, "error_code", None) in REFUSED:
        return "see that MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are of a user who may do this"
    if getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
        return "see that this is the right MLflow (MLFLOW_TRACKING_URI), and restore what it lacks from a copy"
    return "see that the server answers and the disk has room"


def _in_short(error: Exception) -> str:
    """The first line of an error; of a request the cause alone; of a failed download the last line too, which has the cause."""
    lines = without_credentials(str(error)).strip().splitlines()
    if cause := CAUSE.search(str(error)):
        return without_credentials(cause[1])[-200:]
    if not str(error).startswith("The following failures occurred") or len(lines) < 2:
        return first_line(error)
    return f"{first_line(error)} {lines[-1].strip()[:200]}"


def reach_database(uri: str) -> None:
    """Raise OperationalError where the PostgreSQL that MLflow is to use does not answer within CONNECT_SECONDS.

    MLflow itself would ask it ten times in 100 s, without a word, and so at every try of ours.
    """
    if not uri.startswith("postgresql"):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    except ImportError:  # MLflow says which driver is missing
        return
    engine.connect().close()


def tracking_failures() -> tuple[type[Exception], ...]:
    """The errors that a tracking server, its database or its disk may raise."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import OperationalError

    return MlflowException, RequestException, OperationalError, OSError


def _is_temporary(error: BaseException) -> bool:
    """Whether trying again can help: servers and locks recover, wrong requests and our own mistakes do not."""
    if not isinstance(error, tracking_failures()):
        return False
    code = getattr(error, "error_code", None)
    return code is None or code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_CONFLICT")


class _stop_if_silent(stop_base):  # noqa: N801  (named as its kind are)
    """Whether what failed was waited for, and long enough."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        waited = (retry_state.seconds_since_start or 0) >= SILENT_SECONDS
        return waited and retry_state.outcome is not None and "timed out" in str(retry_state.outcome.exception())


def first_line(error: Exception) -> str:
    return next(iter(without_credentials(str(error)).strip().splitlines()), type(error).__name__)[:200]
