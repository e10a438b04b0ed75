"""A table as a source: what a file would give, in an order that does not change, and no password anywhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import postgres
import pytest
import sqlalchemy as sa

from configs.errors import InfraError, InputError
from configs.load import load_pipeline
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.sources import tables
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.read_files import file_header, read_chunks
from tasks.data.sources.source_files import resolve_source

ROWS = [(3, "c", None, "2025-01-03 00:00:00.000000"), (1, "a", 1, "2025-01-01 00:00:00.000000"), (2, "b", 0, None)]


@pytest.fixture
def make(tmp_path: Path):
    def made(name: str, rows: list[tuple[object, ...]], key: str = "PRIMARY KEY") -> str:
        with sqlite3.connect(tmp_path / name) as database:
            database.execute(f"CREATE TABLE tickets (id INTEGER {key}, text TEXT, label INTEGER, at TIMESTAMP)")
            database.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
        database.close()
        return f"sqlite:///{tmp_path / name}/tickets"

    return made


def test_rows_come_by_key_in_chunks_as_they_would_from_a_file(make) -> None:
    (file,) = resolve_source(make("a.db", ROWS))
    (chunk,) = read_chunks(file, ("text", "at", "label"), 100)
    assert chunk.columns["text"] == ["a", "b", "c"] and chunk.columns["label"] == [1, 0, None] and chunk.first == 1
    assert [str(at) for at in chunk.columns["at"]] == ["2025-01-01 00:00:00", "None", "2025-01-03 00:00:00"]
    assert file_header(file, 100) == ("id", "text", "label", "at")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_equal_content_has_an_equal_fingerprint_however_it_is_stored_and_a_changed_cell_another(make, key) -> None:
    one, two = make("a.db", ROWS, key), make("b.db", ROWS[::-1], key)
    assert (
        tables.table_digest(one) == tables.table_digest(two)
        and tables.rows_in(tables.table_digest(one)) == tables.count_rows(one) == 3
    )
    assert tables.table_digest(make("c.db", [*ROWS[:2], (2, "B", 0, None)], key)) != tables.table_digest(one)
    assert list(fingerprint_files(resolve_source(one)).values()) == [tables.table_digest(one)]


def test_what_is_not_there_is_named(make, tmp_path: Path) -> None:
    address = make("a.db", ROWS)
    with pytest.raises(InputError, match="there is no table absent"):
        tables.count_rows(address.replace("tickets", "absent"))
    with pytest.raises(InputError, match="names no table"):
        tables.count_rows("sqlite:///nothing")
    (file,) = resolve_source(make("empty.db", []))
    with pytest.raises(InputError, match="has no rows"):
        list(read_chunks(file, ("text",), 100))
    with pytest.raises(InputError, match="texts"):
        list(read_chunks(resolve_source(address)[0], ("texts",), 100))


@pytest.mark.parametrize("address", ["me:secret@h/d/t", "me@h/d/t?password=secret"])
def test_a_password_in_a_source_is_refused_and_never_said(tmp_path: Path, address: str) -> None:
    config = tmp_path / "keep.yaml"
    config.write_text(
        f"name: a\nproblem: text-classification\ndata: {{source: 'postgresql+psycopg2://{address}'}}\nmodel: {{base: b}}\n"
    )
    with pytest.raises(InputError, match="PGPASSWORD") as refused:
        load_pipeline(config)
    assert "secret" not in str(refused.value)
    assert tables.without_login("postgresql+psycopg2://me:secret@h:1/d/t?x=1") == "postgresql+psycopg2://h:1/d/t"


def test_a_mistyped_path_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*typo\.db: correct the path"):
        tables.count_rows(f"sqlite:///{tmp_path}/typo.db/t")
    (tmp_path / "no.db").write_text("no database, but text that is longer than a header of SQLite is, by some words more than that")
    with pytest.raises(InputError, match="is no SQLite database"):
        tables.count_rows(f"sqlite:///{tmp_path}/no.db/t")
    assert [path.name for path in tmp_path.iterdir()] == ["no.db"]


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A table whose cells are none of their column's type."""
    with sqlite3.connect(tmp_path / "odd.db") as database:
        database.execute("CREATE TABLE t (id TEXT, text TEXT, label TEXT, at DATETIME, extra JSON, price NUMERIC)")
        for i in range(60):
            at, extra, price = ("31.01.2026", "no json", "free") if i == 30 else ("2026-01-31 00:00:00.000000", "{}", 1.5)
            database.execute("INSERT INTO t VALUES (?,?,?,?,?,?)", (f"r{i:02}", f"ticket {i}", "ab"[i % 2], at, extra, price))
        database.execute("INSERT INTO t VALUES ('r99', CAST(X'FF41' AS TEXT), 'a', NULL, NULL, NULL)")
    database.close()
    return f"sqlite:///{tmp_path}/odd.db/t"


def test_what_a_column_that_is_not_used_holds_stops_nothing(odd, tmp_path: Path) -> None:
    with loaded_source(Data(source=odd, id="id"), "text-classification", tmp_path / "home") as raw:
        assert len(raw) == 61 and list(raw.unusable.values()) == [
            "its `text` holds half of a surrogate pair, which is no character"
        ]
    (file,) = resolve_source(odd)
    used = fingerprint_files([file], ("id", "text"))
    with sqlite3.connect(tmp_path / "odd.db") as database:
        database.execute("UPDATE t SET extra = 'none at all', price = 'dear', at = 'never'")
    assert fingerprint_files([file], ("id", "text")) == used and fingerprint_files([file]) != used


def test_an_odd_cell_is_named_by_row_and_column(odd, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"odd\.db/t row 31: `at` is no time.*the form '99\.99\.9999'"),
        loaded_source(Data(source=odd, time="at"), "text-classification", tmp_path / "home"),
    ):
        pass
    with pytest.raises(InputError, match=r"has no column `when`; its columns are `id`, `text`"):
        fingerprint_files(resolve_source(odd), ("when",))


def test_rows_are_those_that_they_were_before_odd_cells_were_read(odd, tmp_path: Path) -> None:
    (chunk,) = read_chunks(resolve_source(odd)[0], ("at", "price", "extra"), 100)
    assert str(chunk.columns["at"][0]) == "2026-01-31 00:00:00" and str(chunk.columns["price"][0]) == "1.5000000000"
    assert (
        chunk.columns["price"][30] == "free" and chunk.columns["extra"][:2] == [{}, {}] and chunk.columns["extra"][30] == "no json"
    )


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("BOOLEAN", ["f", "false", "t", "", 2]),
        ("NUMERIC", [12345678901234567, 12345678901234568, 2, "free"]),
        ("DECIMAL(20, 2)", [12345678901234567, 12345678901234568, 2, "free"]),
        ("BLOB", [3, "free"]),
    ],
)
def test_a_cell_that_is_none_of_its_columns_type_stays_as_it_is(tmp_path: Path, kind: str, cells: list[object]) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute(f"CREATE TABLE t (n INTEGER PRIMARY KEY, cell {kind})")
        database.executemany("INSERT INTO t (cell) VALUES (?)", [(cell,) for cell in cells])
    database.close()
    (chunk,) = read_chunks(resolve_source(f"sqlite:///{tmp_path}/a.db/t")[0], ("cell",), 100)
    assert chunk.columns["cell"] == cells and list(map(type, chunk.columns["cell"])) == list(map(type, cells))


def test_what_sqlite_stores_for_a_truth_is_one(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, cell BOOLEAN)")
        database.executemany("INSERT INTO t (cell) VALUES (?)", [(0,), (1,), (None,)])
    database.close()
    (chunk,) = read_chunks(resolve_source(f"sqlite:///{tmp_path}/a.db/t")[0], ("cell",), 100)
    assert [repr(cell) for cell in chunk.columns["cell"]] == ["False", "True", "None"]


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("SELECT text, label FROM gone", "no such table: main.gone"),
        ("SELECT text, json(text) AS label FROM tickets", "malformed JSON"),
    ],
)
def test_a_view_that_cannot_be_read_is_the_users(make, tmp_path: Path, view: str, said: str) -> None:
    address = make("a.db", ROWS)
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute(f"CREATE VIEW v AS {view}")
    database.close()
    with pytest.raises(InputError, match=rf"a\.db/v: cannot be read \({said}\): correct the table, or the view"):
        tables.table_digest(address.replace("tickets", "v"), ("text", "label"))


def test_a_damaged_database_is_the_users_and_a_locked_one_is_not(make, tmp_path: Path, monkeypatch) -> None:
    address = make("a.db", ROWS)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(tables.sqlite3, "connect", lambda *given, **more: connect(*given, **more, timeout=0))
    with pytest.raises(InfraError, match=r"the database does not answer \(database is locked\)"):
        tables.count_rows(address)
    other.close()
    whole = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").write_bytes(whole[:4096] + b"\xff" * 100 + whole[4196:])
    with pytest.raises(InputError, match=r"a\.db/tickets: cannot be read \(.*malformed\)"):
        tables.table_digest(address)


def test_what_a_server_says_of_a_view_is_the_users() -> None:
    address = postgres.url_or_skip()
    with sa.create_engine(address).begin() as database:
        database.execute(sa.text("CREATE OR REPLACE VIEW v AS SELECT 'a' AS text, 1 / (random() * 0)::int AS label"))
    with pytest.raises(InputError, match=r"/v: cannot be read \(division by zero\): correct the table, or the view"):
        tables.table_digest(f"{address}/v")
