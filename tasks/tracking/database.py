"""A home's own MLflow database: made whole or not at all, and set right where the home was moved."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from configs.errors import InfraError
from tasks.common.home import Home
from tasks.common.sqlite_files import first_cell
from tasks.common.terminal import print_notice
from tasks.tracking.moved_home import settle_places


def make_database(home: Home) -> None:
    """Make a home's own database aside, and show it when it is whole; nothing where it is there, or where a server keeps it.

    MLflow builds it in some fifty steps and neither goes on with nor mends one that a kill or a full disk left half built.
    """
    place = Path(home.tracking_uri.removeprefix("sqlite:///"))
    if not home.tracks_here or place.exists():
        return
    if is_lost(home):
        raise InfraError(
            f"{place} is gone, though {home.artifacts} holds what it lists: restore it from a copy of this home, or set "
            "TUNEKEEPER_HOME to another folder to begin anew; nothing was made or recorded"
        )
    from filelock import FileLock
    from mlflow import MlflowClient

    (home.path / "locks").mkdir(parents=True, exist_ok=True)
    with FileLock(home.path / "locks" / "mlflow.lock"):
        if place.exists():
            return
        for left in place.parent.glob(f".{place.name}.*"):
            left.unlink()
        aside = place.with_name(f".{place.name}.{os.getpid()}.{time.monotonic_ns()}")  # MLflow remembers what it has opened
        MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
        aside.replace(place)


def is_lost(home: Home) -> bool:
    """Whether a home's own database is gone, though the artifacts that it listed are there."""
    place = Path(home.tracking_uri.removeprefix("sqlite:///"))
    return home.tracks_here and not place.exists() and home.artifacts.is_dir() and any(home.artifacts.iterdir())


def open_database(home: Home) -> None:
    """Make a home's own database where there is none; where the home was moved or copied, set its paths right, and say so."""
    make_database(home)
    if notice := settle_places(home):
        print_notice(notice)


def count_unrecorded_versions(home: Home, ledger: Path) -> int:
    """How many versions a home's own database lists, though the ledger that records them is gone or empty; else 0.

    0 too where there is no database, or it cannot be read, which others say.
    """
    file = home.path / "mlflow.db"
    if (ledger.is_file() and ledger.stat().st_size) or not home.tracks_here or not file.is_file():
        return 0
    with suppress(sqlite3.Error):
        return int(first_cell(file, "select count(*) from model_versions"))
    return 0
