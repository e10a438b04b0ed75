"""The connection to MLflow: every call tried a few times, every failure reported with the address and the remedy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from configs.credentials import MASK, without_credentials
from configs.errors import InfraError
from tasks.common.home import Home
from tasks.tracking.database import open_database

T = TypeVar("T")
PREFIX = "tunekeeper."  # of our tags
ATTEMPTS = 4
CONNECT_SECONDS = 10


class Connection:
    """One tracking server; every call is tried a few times, then fails as InfraError with the address and the remedy.

    `only_look` leaves a database as it is: for commands that report faults and mend nothing. `may_begin`: a database that
    MLFLOW_TRACKING_URI names, and that is not there, is made; for commands that read, it is the wrong one.
    """

    def __init__(
        self, home: Home, pause: Callable[[float], None] = time.sleep, *, only_look: bool = False, may_begin: bool = True
    ) -> None:
        self.home, self.pause, self.only_look, self.may_begin = home, pause, only_look, may_begin and not only_look

    @cached_property
    def client(self) -> Any:
        import mlflow

        # it prints the traceback of every fault that `attempt` tells of
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        check_address(self.home, self.may_begin)
        reach_database(self.home.tracking_uri)
        if not self.only_look:
            open_database(self.home)
        mlflow.set_tracking_uri(self.home.tracking_uri)
        mlflow.set_registry_uri(self.home.tracking_uri)
        return mlflow.MlflowClient(self.home.tracking_uri)

    def attempt(self, action: str, call: Callable[[], T]) -> T:
        """Call, and call again after pauses of 1, 2, 4 seconds where the server or its database does not answer."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=wait_exponential(), retry=retry_if_exception(_is_temporary),
            sleep=self.pause, reraise=True,
        )  # fmt: skip
        try:
            return attempts(call)
        except tracking_failures() as error:
            raise self._fault(action, error) from error

    def _fault(self, action: str, error: Exception) -> InfraError:
        where = without_credentials(self.home.tracking_uri)
        return InfraError(
            f"MLflow at {where}: {action} failed ({first_line(error)}): "
            "see that the server answers and the disk has room, then run again"
        )


def check_address(home: Home, may_begin: bool) -> None:
    """Raise InfraError where MLFLOW_TRACKING_URI is no address, or names a database that is absent and may not be made."""
    uri = home.tracking_uri
    if "://" not in uri and not uri.startswith("databricks"):
        forms = "http://HOST:PORT, sqlite:////FOLDER/mlflow.db or postgresql+psycopg2://HOST/DATABASE"
        shown = f"{MASK}@{uri.rpartition('@')[2]}" if "@" in uri else uri
        raise InfraError(f"MLFLOW_TRACKING_URI={shown}: is no address of an MLflow: write {forms}, or unset it for the home's own")
    file = home.tracking_file
    if file is not None and not (may_begin or home.tracks_here or file.exists()):
        raise InfraError(
            f"MLFLOW_TRACKING_URI={uri}: there is no database {file}: is this the right MLflow? Correct the address; "
            "`tunekeeper retrain CONFIG` makes one there. Nothing was made or recorded"
        )


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


def first_line(error: Exception) -> str:
    return next(iter(without_credentials(str(error)).strip().splitlines()), type(error).__name__)[:200]
