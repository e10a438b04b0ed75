"""A table as a source: what a file would give, in an order that does not change, and no password anywhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from configs.errors import InputError
from configs.load import load
from tasks.text import tables
from tasks.text.read import chunks, header
from tasks.text.sources import fingerprint, resolve

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
    (file,) = resolve(make("a.db", ROWS))
    (chunk,) = chunks(file, ("text", "at", "label"), 100)
    assert chunk.columns["text"] == ["a", "b", "c"] and chunk.columns["label"] == [1, 0, None] and chunk.first == 1
    assert [str(at) for at in chunk.columns["at"]] == ["2025-01-01 00:00:00", "None", "2025-01-03 00:00:00"]
    assert header(file, 100) == ("id", "text", "label", "at")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_equal_content_has_an_equal_fingerprint_however_it_is_stored_and_a_changed_cell_another(make, key) -> None:
    one, two = make("a.db", ROWS, key), make("b.db", ROWS[::-1], key)
    assert tables.digest(one) == tables.digest(two) and tables.rows_in(tables.digest(one)) == tables.count(one) == 3
    assert tables.digest(make("c.db", [*ROWS[:2], (2, "B", 0, None)], key)) != tables.digest(one)
    assert list(fingerprint(resolve(one)).values()) == [tables.digest(one)]


def test_what_is_not_there_is_named(make, tmp_path: Path) -> None:
    address = make("a.db", ROWS)
    with pytest.raises(InputError, match="there is no table absent"):
        tables.count(address.replace("tickets", "absent"))
    with pytest.raises(InputError, match="names no table"):
        tables.count("sqlite:///nothing")
    (file,) = resolve(make("empty.db", []))
    with pytest.raises(InputError, match="has no rows"):
        list(chunks(file, ("text",), 100))
    with pytest.raises(InputError, match="texts"):
        list(chunks(resolve(address)[0], ("texts",), 100))


@pytest.mark.parametrize("address", ["me:secret@h/d/t", "me@h/d/t?password=secret"])
def test_a_password_in_a_source_is_refused_and_never_said(tmp_path: Path, address: str) -> None:
    config = tmp_path / "keep.yaml"
    config.write_text(
        f"name: a\nproblem: text-classification\ndata: {{source: 'postgresql+psycopg2://{address}'}}\nmodel: {{base: b}}\n"
    )
    with pytest.raises(InputError, match="PGPASSWORD") as refused:
        load(config)
    assert "secret" not in str(refused.value)
    assert tables.without_login("postgresql+psycopg2://me:secret@h:1/d/t?x=1") == "postgresql+psycopg2://h:1/d/t"
