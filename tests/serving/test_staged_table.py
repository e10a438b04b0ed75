"""A table to be scored is read as it is now, whatever a scoring before it left."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs.errors import InputError
from tasks.serving.batch.input_files import inspect_files
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


def made_of(folder, declared, *cells):
    """The address of a table with these cells in a column that is declared so."""
    with sqlite3.connect(folder / "data.db") as database:
        database.execute(f"CREATE TABLE tickets (id INTEGER PRIMARY KEY, text TEXT, n {declared})")
        database.executemany("INSERT INTO tickets (text, n) VALUES ('a', ?)", [(cell,) for cell in cells])
    return f"sqlite:///{folder}/data.db/tickets"


@pytest.mark.parametrize(
    ("declared", "cell", "holds"),
    [
        ("INTEGER", "ann@example.org", "a str, and is declared int64"),
        ("INTEGER", 1.5, "a float, and is declared int64"),
        ("BOOLEAN", "yes", "a str, and is declared bool"),
        ("BOOLEAN", 9771, "a int, and is declared bool"),
        ("FLOAT", "n/a", "a str, and is declared double"),
        ("DATE", "01/02/2025", "a str, and is declared date32"),
        ("DATETIME", "soon", "a str, and is declared timestamp"),
        ("DATETIME", "2025-01-01 10:00:00+02:00", "a datetime, and is declared timestamp"),
        ("TEXT", b"abc", "a bytes, and is declared string"),
        ("", b"abc", "a bytes, and is declared string"),
        ("BLOB", "abc", "a str, and is declared binary"),
    ],
)
def test_a_cell_that_is_not_of_its_columns_type_is_told_by_its_row_and_not_shown(tmp_path, declared, cell, holds):
    address, says = made_of(tmp_path, declared, None, cell), rf"data\.db/tickets row 2: `n` holds {holds}.*: correct it, or"
    with (
        pytest.raises(InputError, match=f"--input sqlite:.*{says}") as refused,
        stage_table(address, tmp_path / "out" / "answers.parquet"),
    ):
        pass
    assert str(cell) not in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "cells", "kept"),
    [
        ("", [1, "a", 2.5], ["1", "a", "2.5"]),
        ("JSON", ['{"a": "é"}', "[1]", "no JSON"], ['{"a": "é"}', "[1]", "no JSON"]),
        ("BLOB", [b"\xff", None], [b"\xff", None]),
        ("FLOAT", [1, 0.1], [1.0, 0.1]),
        ("DECIMAL(10, 2)", [1.5, "x"], ["1.50", "x"]),
    ],
)
def test_a_column_keeps_what_it_holds_as_its_type_has_it(tmp_path, declared, cells, kept):
    with stage_table(made_of(tmp_path, declared, *cells), tmp_path / "answers.parquet") as place:
        assert pq.read_table(place).column("n").to_pylist() == kept


def test_a_text_of_a_table_that_is_no_utf8_costs_its_row_alone_and_bytes_are_no_text(tmp_path):
    address = made_of(tmp_path, "TEXT", "é", "x")
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("UPDATE tickets SET n = CAST(x'61ff' AS TEXT) WHERE id = 2")
    with stage_table(address, tmp_path / "answers.parquet") as place:
        for column, kept in (("text", ["é", "a\ufffd"]), ("n", ["é", None])):
            batch = inspect_files(place, (column,), "auto", 1000)
            assert [batch.table(chunk).column("n").to_pylist() for chunk in batch.chunks()] == [kept]
    (tmp_path / "other").mkdir()
    address = made_of(tmp_path / "other", "BLOB", b"abc")
    says = r"--input sqlite:.*/other/data\.db/tickets: `n` holds binary: it must be text"
    with pytest.raises(InputError, match=says), stage_table(address, tmp_path / "answers.parquet") as place:
        inspect_files(place, ("n",), "auto", 1000)


def test_a_table_is_named_by_its_address_wherever_a_fault_of_it_is_found(tmp_path):
    address = made_of(tmp_path, "TEXT", "x")
    says = r"--input sqlite:.*data\.db/tickets: has no column `words`; its columns are"
    with pytest.raises(InputError, match=says), stage_table(address, tmp_path / "answers.parquet") as place:
        inspect_files(place, ("words",), "auto", 1000)
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("DELETE FROM tickets")
    with (
        pytest.raises(InputError, match=r"--input sqlite:.*data\.db/tickets: has no rows"),
        stage_table(address, tmp_path / "answers.parquet"),
    ):
        pass
