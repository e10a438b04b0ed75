"""What tests share: tiny bases on disk, one Prefect server, and an environment that is quiet and local."""

import gc
import logging
import os
from pathlib import Path

import postgres
import pytest
import tiny
from filelock import FileLock

from tasks.common.home import ENVIRONMENT, SPIN_COUNT, Home

# before torch is imported: the tests' nets are too small for more, and equality bit for bit is claimed at equal threads
os.environ |= {**ENVIRONMENT, **SPIN_COUNT, "OMP_NUM_THREADS": "1"}
os.environ |= {"HF_HUB_OFFLINE": "1", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}


def forget_address():
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)


LONGEST = ("flows", "learning", "drift", "gate", "stats", "serving", "ledger", "tasks")  # folders whose files take minutes


def pytest_collection_modifyitems(items):
    """Long files first: where files are dealt out to several processes, a long one at the end leaves the others idle."""
    items.sort(key=lambda item: LONGEST.index(item.path.parent.name) if item.path.parent.name in LONGEST else len(LONGEST))


def pytest_sessionfinish():
    postgres.stop()


def pytest_terminal_summary(terminalreporter):
    """Say plainly, in the last lines, what was not tested for want of a database."""
    missed = [report for report in terminalreporter.stats.get("skipped", ()) if postgres.WITHOUT in str(report.longrepr)]
    if missed:
        terminalreporter.write_line(f"{len(missed)} tests did NOT run: {postgres.WITHOUT}", red=True)


logging.raiseExceptions = False  # libraries' handlers keep the standard error of the test they were made in, closed since


@pytest.fixture(scope="module", autouse=True)
def libraries_kept_from_the_collector():
    """Every training collects garbage: a third of a second where the objects of all libraries are looked at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_address():
    """MLflow writes the address it is given into the environment, where the next test would take it for its own."""
    forget_address()
    yield
    forget_address()


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def bart_folder(tmp_path_factory) -> Path:
    return tiny.seq2seq(tmp_path_factory.mktemp("bart"))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that Tunekeeper starts for itself, in a home of its own."""
    from flows.local.server import prefect_server

    home = Home(tmp_path_factory.mktemp("server"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home.prefect))
        patch.setenv("TUNEKEEPER_SERVER_IDLE_SECONDS", "20")  # it ends itself then: Prefect's last words are sent as Python exits
        patch.delenv("PREFECT_API_URL", raising=False)
        with prefect_server(home) as url:
            from prefect import settings

            where = {settings.PREFECT_API_URL: url, settings.PREFECT_HOME: home.prefect}
            with settings.temporary_settings(where):
                yield url


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory, request):
    """MLflow's database as its first call leaves it: made once for all test processes, for that takes seconds."""
    from tasks.tracking.client import Tracking

    base = tmp_path_factory.getbasetemp()
    home = Home((base.parent if hasattr(request.config, "workerinput") else base) / "empty-mlflow")
    with FileLock(f"{home.path}.lock"):
        home.path.mkdir(exist_ok=True)
        if not (home.path / "done").exists():
            forget_address()
            Tracking(home).experiment("first")
            forget_address()
            (home.path / "done").touch()
    return home.path / "mlflow.db"
