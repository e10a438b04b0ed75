"""The first rows of a source in any format, at a cost that does not grow with it."""

import json
import lzma
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from configs.errors import InputError
from tasks.data.proposal import sample
from tasks.data.proposal.sample import read_sample

ROWS = pd.DataFrame({"text": [f"one, two; three {n}" for n in range(120)], "label": ["a", "b", "c"] * 40})


def write(folder: Path, form: str) -> str:
    """The rows in a format, and what names them as a source."""
    file = folder / f"rows.{form}"
    match form:
        case "csv" | "csv.gz" | "csv.bz2":
            ROWS.to_csv(file, index=False)
        case "csv.xz":
            file.write_bytes(lzma.compress(ROWS.to_csv(index=False).encode()))
        case "tsv":
            ROWS.to_csv(file, index=False, sep="\t")
        case "jsonl":
            ROWS.to_json(file, orient="records", lines=True)
        case "json":
            ROWS.to_json(file, orient="records")
        case "parquet":
            ROWS.to_parquet(file)
        case "xlsx":
            ROWS.to_excel(file, index=False)
        case "db":
            with sqlite3.connect(file) as connection:
                ROWS.to_sql("tickets", connection, index=False)
            return f"sqlite:///{file}/tickets"
    return str(file)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "csv.bz2", "csv.xz", "tsv", "jsonl", "json", "parquet", "xlsx", "db"])
@pytest.mark.parametrize(("most", "rows", "whole"), [(1000, 120, True), (60, 100, False)])
def test_every_format_gives_the_same_first_rows(tmp_path, form, most, rows, whole):
    found = read_sample(write(tmp_path, form), most)
    assert (found.rows, found.is_whole) == (rows, whole)  # read fifty at a time
    assert found.columns == {name: ROWS[name].tolist()[:rows] for name in ("text", "label")}


def test_a_table_is_read_no_further_than_it_is_looked_at(tmp_path, monkeypatch):
    read = []
    records = sample.read_json.json_records

    def counted(*given):
        for record in records(*given):
            read.append(record)
            yield record

    monkeypatch.setattr(sample.read_json, "json_records", counted)
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "{n}"}}\n' for n in range(10_000)))
    assert not read_sample(str(tmp_path / "a.jsonl"), 100).is_whole and len(read) == 150


@pytest.mark.parametrize(("limit", "most"), [("MOST_CHARACTERS", 500), ("MOST_CELLS", 100)])
def test_long_and_wide_rows_end_the_reading_too(tmp_path, monkeypatch, limit, most):
    monkeypatch.setattr(sample, limit, most)
    found = read_sample(write(tmp_path, "csv"))
    assert found.rows == 50 and not found.is_whole


@pytest.mark.parametrize(
    ("head", "separator", "named"),
    [
        ("text;label", ";", None),
        ("text|label", "|", None),
        ("text:label", ":", ":"),
        ("Betreff, Text;Klasse", ";", None),  # the columns that are looked for tell it
        ("sep=;\ntext;label", None, None),
    ],
)
def test_a_separator_is_found_in_the_rows_and_named_where_the_header_does_not_tell_it(tmp_path, head, separator, named):
    sign = separator or ";"
    (tmp_path / "a.csv").write_text(f"{head}\n" + "".join(f'"one, two {n}"{sign}a\n' for n in range(60)))
    found = read_sample(str(tmp_path / "a.csv"))
    names = tuple(found.columns)
    assert len(names) == 2 and found.rows == 60 and found.separator == separator
    assert found.separator_to_name(names) == named


def test_of_a_folder_a_few_files_are_looked_at_and_their_shared_columns(tmp_path):
    for n in range(30):
        row = {"text": f"t{n}", "label": "a"} | ({"more": 1} if n else {})
        (tmp_path / f"part-{n:02}.jsonl").write_text(f"{json.dumps(row)}\n" * 5)
    found = read_sample(str(tmp_path))
    assert (
        len(found.files) == sample.MOST_FILES
        and found.rows == 50
        and not found.is_whole
        and set(found.columns) == {"text", "label"}
    )


def test_a_file_of_blanks_is_one_without_a_header(tmp_path):
    (tmp_path / "a.csv").write_text(" \n\n \n")
    with pytest.raises(InputError, match=r"a\.csv has a first line in which no column has a name: give it a header line"):
        read_sample(str(tmp_path / "a.csv"))


def test_files_that_are_no_parts_of_one_table_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    (tmp_path / "b.csv").write_text("name\nx\n")
    with pytest.raises(InputError, match=r"its files have no column in common \(a\.csv and b\.csv\): name those that are rows"):
        read_sample(str(tmp_path))


def test_columns_without_a_name_of_their_own_cannot_be_named(tmp_path):
    (tmp_path / "a.csv").write_text(",text,text,label\n0,a,b,c\n")
    assert list(read_sample(str(tmp_path / "a.csv")).columns) == ["label"]
