"""A table to be scored is read as it is now, whatever a scoring before it left."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs.errors import InputError
from tasks.serving.batch.staged_table import stage_table

ROOT = Path(__file__).parents[2]
CHILD = """
import os, signal, sys
from pathlib import Path
from tasks.serving.batch.staged_table import stage_table

with stage_table(sys.argv[1], Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def table(tmp_path):
    """The address of a table of two rows."""
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO tickets VALUES (?, ?)", [(1, "a"), (2, "b")])
    return f"sqlite:///{tmp_path}/data.db/tickets"


def correct(tmp_path):
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("UPDATE tickets SET text = 'corrected' WHERE id = 2")


def texts(address, output):
    with stage_table(address, output) as place:
        return pq.read_table(place).column("text").to_pylist()


def test_a_table_corrected_after_an_error_is_read_again(table, tmp_path):
    output = tmp_path / "out" / "answers.parquet"
    with pytest.raises(InputError, match="row 2"), stage_table(table, output):
        raise InputError("row 2 is at fault: correct the table")
    assert not list(output.parent.iterdir())
    correct(tmp_path)
    assert texts(table, output) == ["a", "corrected"] and not list(output.parent.iterdir())


def test_after_a_kill_the_table_is_read_as_it_is_now_and_what_the_kill_left_goes(table, tmp_path):
    output = tmp_path / "out" / "answers.parquet"
    subprocess.run([sys.executable, "-c", CHILD, table, str(output)], cwd=ROOT, check=False)
    assert len(list(output.parent.iterdir())) == 1
    correct(tmp_path)
    assert texts(table, output) == ["a", "corrected"] and not list(output.parent.iterdir())


def test_equal_rows_make_an_equal_file_so_that_what_was_scored_of_them_is_found(table, tmp_path):
    def made():
        with stage_table(table, tmp_path / "answers.parquet") as place:
            return Path(place).name, hashlib.sha256(Path(place).read_bytes()).hexdigest()

    assert made() == made()
    before = made()
    correct(tmp_path)
    assert made() != before
