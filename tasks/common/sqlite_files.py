"""Files of SQLite that are only looked at: their faults, and what to do about each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

# Errors of a database that is whole, each with what lets it be used again.
IN_THE_WAY = {
    "readonly database": "it cannot be written: make the disk, the file and its folder writable for this user",
    "is full": "the disk is full: free some space",
    "No space left": "the disk is full: free some space",
    "disk I/O error": "the disk is full or failing: free some space, or check it",
    "unable to open database file": "the file cannot be opened: check the path and its permissions",
}
FIRST_LOOK = "select count(*) from sqlite_master"
BUSY = {"is locked": "another process holds it: let that end, then run again"}


def sqlite_remedy(fault: str, damaged: str) -> str:
    """What to do about a file with this fault: `damaged` where it is, else what lets a whole one be used."""
    return next((remedy for sign, remedy in {**IN_THE_WAY, **BUSY}.items() if sign in fault), damaged)


def sqlite_fault(file: Path, query: str = FIRST_LOOK) -> str | None:
    """Why a file cannot be asked this; None where it can, or is not there."""
    if not file.exists():
        return None
    try:
        first_cell(file, query)
    except sqlite3.Error as error:
        return str(error)
    return None


def first_cell(file: Path, query: str) -> Any:
    """The first cell that a query finds in a file, which stays as it is; None where it finds no row."""
    with opened_to_read(file, 2.0) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


@contextmanager
def opened_to_read(file: Path, seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection that reads a file, waits so many seconds for another process, and changes nothing.

    But where a writer was killed in the midst: SQLite has to take its half of a change back first, for which it writes.
    """
    with closing(_connect(file, "ro", seconds)) as connection:
        try:
            connection.execute(FIRST_LOOK)
        except sqlite3.OperationalError as error:
            if "readonly" not in str(error) or not file.with_name(f"{file.name}-journal").exists():
                raise
            with closing(_connect(file, "rw", seconds)) as mended:
                mended.execute(FIRST_LOOK)
        yield connection


def _connect(file: Path, mode: str, seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=seconds)
