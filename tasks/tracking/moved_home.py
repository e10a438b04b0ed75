"""A home that was moved or copied: MLflow writes absolute paths into its database, which are set to where the home lies now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from configs.errors import InfraError
from tasks.common.home import Home
from tasks.common.sqlite_files import opened_to_read, sqlite_remedy

BUSY_SECONDS = 20.0
# Every column of MLflow's that holds where an artifact lies; a table that this version of MLflow lacks is passed over.
COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
OURS = "select distinct r.experiment_id from runs r join tags t on t.run_uuid = r.run_uuid where t.key like 'tunekeeper.%'"
PLACES = f"select name, artifact_location from experiments where experiment_id in ({OURS})"  # noqa: S608  (constants)


def earlier_places(home: Home) -> tuple[Path, ...]:
    """The folders in which this home's artifacts lie by its own MLflow database, though they are here; nothing is written.

    Only of experiments that Tunekeeper made and whose artifacts are in this home, or in another home that this is a copy of: one
    that lies elsewhere on purpose stays there.
    """
    file = home.path / "mlflow.db"
    if not home.tracks_here or not file.is_file():
        return ()
    try:
        with opened_to_read(file, BUSY_SECONDS) as database:
            return tuple(sorted(_earlier_places(home, database)))
    except sqlite3.Error as error:
        remedy = sqlite_remedy(str(error), "restore it from a copy, and keep this one beside it")
        raise InfraError(f"{file} cannot be read ({error}): {remedy}") from error


def settle_places(home: Home) -> str | None:
    """Set every recorded path to where this home lies; a sentence for the user where that had to be done, for a home that moved."""
    before = earlier_places(home)
    if not before:
        return None
    try:
        with closing(sqlite3.connect(home.path / "mlflow.db", timeout=BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("begin immediate")
            for place in _earlier_places(home, database):  # another process may have done it meanwhile
                _replace_place(database, place, home.artifacts)
            database.execute("commit")
    except sqlite3.Error as error:
        raise InfraError(
            f"{home.path / 'mlflow.db'} names artifacts in {before[0]}, where this home was before, and cannot be set right "
            f"({error}): end what uses it, see that it can be written, then run again"
        ) from error
    places = ", ".join(str(place.parent) for place in before)
    return f"this home was in {places} before: MLflow's paths are those of {home.path} now"


def _earlier_places(home: Home, database: sqlite3.Connection) -> set[Path]:
    tables = {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
    if not tables >= {"experiments", "runs", "tags"}:  # no whole database of MLflow's, which says so itself
        return set()
    return set(_moved_places(home, database.execute(PLACES).fetchall()))


def _moved_places(home: Home, rows: list[tuple[str, str]]) -> Iterator[Path]:
    for name, location in rows:
        place = local_path(location)
        named_so = place is not None and (place.name, place.parent.name) == (name, home.artifacts.name)
        if place is None or not named_so or place.parent == home.artifacts:
            continue
        copied = (place.parent.parent / "mlflow.db").is_file() and not place.exists()  # nothing is stored in either home yet
        if not (copied or (home.artifacts / name).is_dir()):
            continue
        if not (place.parent.is_dir() and place.parent.samefile(home.artifacts)):  # one folder may have two names
            yield place.parent


def local_path(location: str) -> Path | None:
    """The local path of an artifact's address; None for one in another store."""
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None


def _replace_place(database: sqlite3.Connection, old: Path, new: Path) -> None:
    for spelling in (Path.as_uri, lambda path: f"file://{path}", str):  # MLflow quotes some, and takes them unquoted too
        before, after = spelling(old), spelling(new)
        for table, columns in COLUMNS.items():
            there = {row[1] for row in database.execute(f"pragma table_info({table})")}
            for column in there.intersection(columns):
                change = f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?"  # noqa: S608
                database.execute(change, (after, len(before) + 1, len(before) + 1, f"{before}/"))
