"""What people have is read, or named with what to do; what a small file may grow to is bounded."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest
from pydantic import ValidationError

from configs.errors import InfraError, InputError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.sources import read_csv, streams
from tasks.data.sources.read_files import file_header, read_chunks
from tasks.data.sources.source_files import left_out, resolve_source
from tasks.serving.batch.input_files import inspect_files

ROWS = [{"text": f'ticket "{i}", and\nmore', "label": "a" if i % 2 else "b"} for i in range(6)]
TABLE = pd.DataFrame(ROWS)


def frame(home: Path, problem="text-classification", **data) -> pd.DataFrame:
    with loaded_source(Data(**data), problem, home) as raw:
        return pd.concat(raw.frames(), ignore_index=True)


def csv_of(**how) -> bytes:
    return TABLE.to_csv(index=False, **how).encode()


def xlsx_of(**sheets: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    with pd.ExcelWriter(out, engine="openpyxl") as book:
        for name, table in sheets.items():
            table.to_excel(book, sheet_name=name, index=False)
    return out.getvalue()


def zst_of(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


ROWS_ALONE = csv_of(header=False)
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zst_of}


def zip_of(parts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


FILES = {
    "a.csv.gz": gzip.compress(csv_of()),
    "a.CSV.GZ": gzip.compress(csv_of()[:40]) + gzip.compress(csv_of()[40:]),
    "a.csv.zst": zst_of(csv_of()),
    "a.csv.bz2": bz2.compress(csv_of()),
    "a.csv.xz": lzma.compress(csv_of()[:40]) + lzma.compress(csv_of()[40:]),
    "a.jsonl.gz": gzip.compress(TABLE.to_json(orient="records", lines=True).encode()),
    "a.tsv": csv_of(sep="\t"),
    "a.tab": csv_of(sep="\t"),
    "semicolons.csv": csv_of(sep=";"),
    "pipes.csv": csv_of(sep="|"),
    "tabs.csv": csv_of(sep="\t"),
    "excel.csv": b"\xef\xbb\xbfsep=;\r\n" + csv_of(sep=";"),
    "lines.json": TABLE.to_json(orient="records", lines=True).encode(),
    "array.json": TABLE.to_json(orient="records").encode(),
    "indented.json": b"\xef\xbb\xbf \n" + json.dumps(ROWS, indent=2).encode() + b"\n",
    "array.jsonl.zst": zst_of(TABLE.to_json(orient="records").encode()),
    "a.xlsx": xlsx_of(Sheet1=TABLE, Empty=pd.DataFrame()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_rows(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    found = frame(tmp_path / "home", source=str(tmp_path / name))
    assert found[["text", "target"]].values.tolist() == [[row["text"], row["label"]] for row in ROWS]


def test_a_folder_of_many_formats_is_read_whole_and_what_is_not_read_is_named_with_its_remedy(tmp_path):
    place = tmp_path / "mixed"
    place.mkdir()
    for number, (name, content) in enumerate(FILES.items()):
        (place / f"{number}-{name}").write_bytes(content)
    (place / ".hidden.csv").write_text("x")
    assert len(frame(tmp_path / "home", source=str(place))) == len(FILES) * len(ROWS) and left_out(Data(source=str(place))) == ()
    for name in ("notes.txt", "old.tar.gz", "sheet.xls"):
        (place / name).write_text("x")
    (sentence,) = left_out(Data(source=str(place), test=str(place / "0-a.csv.gz")))
    assert "3 of its files are not read: notes.txt (name it .csv or .tsv if it holds a table); old.tar.gz (unpack it)" in sentence
    assert "sheet.xls (save it as .xlsx)" in sentence
    (sentence,) = left_out(Data(source=str(place), format="csv"))
    assert "data.format is csv: set it to auto to read it too" in sentence


def test_a_separator_that_no_header_tells_is_a_setting(tmp_path):
    (tmp_path / "a.csv").write_bytes(csv_of(sep="~"))
    with pytest.raises(InputError, match=r"no column `text`.*set data\.separator \(it was read with `,`\)"):
        frame(tmp_path, source=str(tmp_path / "a.csv"))
    assert len(frame(tmp_path, source=str(tmp_path / "a.csv"), separator="~")) == 6


@pytest.mark.parametrize("sign", ["a", "7", '"', "\n", ";;", ""])
def test_what_separates_nothing_is_refused(sign):
    with pytest.raises(ValidationError, match="separator"):
        Data(source="a.csv", separator=sign)


def test_the_separator_is_the_one_that_gives_the_columns_that_are_wanted(tmp_path):
    (tmp_path / "a.csv").write_text("text,more;label\nhello,there;x\n")
    (file,) = resolve_source(str(tmp_path / "a.csv"))
    assert file_header(file, 100) == ("text", "more;label") and file_header(file, 100, ("label",)) == ("text,more", "label")
    assert read_csv.csv_header(file, ("text",), 100) == ("text", "more;label")


# --- columns that are not used --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["csv", "parquet", "xlsx"])
def test_columns_that_are_not_used_may_be_there_twice_and_those_that_are_may_not(tmp_path, end):
    twice = pd.DataFrame([["x", "hello", "a", "y"]] * 3, columns=["more", "text", "label", "more"])
    path = tmp_path / f"a.{end}"
    if end == "csv":
        twice.to_csv(path, index=False)
    elif end == "xlsx":
        path.write_bytes(xlsx_of(one=twice))
    else:
        pq.write_table(pa.table([pa.array(twice.iloc[:, i]) for i in range(4)], names=list(twice.columns)), path)
    assert len(frame(tmp_path, source=str(path))) == 3
    with pytest.raises(InputError, match=r"has more than one column `more`"):
        frame(tmp_path, source=str(path), slices=("more",))


# --- what is broken -------------------------------------------------------------------------------------------------------

BROKEN = {
    "cut.csv.gz": (gzip.compress(csv_of() * 50)[:-20], r"is no whole gzip file"),
    "not.csv.gz": (csv_of(), r"is no whole gzip file"),
    "cut.csv.zst": (zst_of(csv_of() * 50)[:-20], r"is no whole zstd file"),
    "cut.csv.xz": (lzma.compress(csv_of() + ROWS_ALONE * 50)[:-20], r"is no whole xz file"),
    "not.csv.xz": (csv_of(), r"is no whole xz file"),
    "xz.csv": (lzma.compress(csv_of()), r"is a \.xz file by its first bytes.*name it xz\.csv\.xz"),
    "digits.json": (
        b'[{"text": ' + b"1" * 5000 + b', "label": 1}]',
        r"item 1: holds a number of more than 4,300 digits",
    ),
    "digits.jsonl": (b'{"text": ' + b"1" * 5000 + b"}", r"line 1: holds a number of more than 4,300 digits: write it as a text"),
    "gz.csv": (gzip.compress(csv_of()), r"is a \.gz file by its first bytes.*name it gz\.csv\.gz"),
    "zip.csv": (b"PK\x03\x04rest", r"is a \.zip file by its first bytes"),
    "cut.json": (b'[{"text": "a", "label": "x"}, {"text": "b"', r"item 2: is not JSON"),
    "comma.json": (b'[{"text": "a", "label": "x"} {"text": "b"}]', r"item 1: '\{' follows where a comma"),
    "end.json": (b'[{"text": "a", "label": "x"}', r"item 1: the file ends"),
    "after.json": (b'[{"text": "a", "label": "x"}] {}', r"something follows the array of 1 items"),
    "numbers.json": (b"[1, 2]", r"item 1: is a int, not an object"),
    "twice.jsonl": (b'{"text": "a", "label": "x", "label": "y"}', r"line 1: an object has the key `label` more than once"),
    "twice.json": (
        b'[{"text": "a", "label": "x"}, {"text": "a", "text": "b", "label": "y"}]',
        r"item 2: an object has the key `text` more",
    ),
    "control.csv": (b"te\x00xt,\x1b[31mlabel\n", r"its columns are `xx\?xx`, `\?\[99xxxxxx"),
    "deep.json": (b'[{"text": ' + b"[" * 100_000, r"item 1: is not JSON"),
    "latin.json": ('[{"text": "caf\xe9", "label": "x"}]'.encode("latin-1"), r"byte 0xe9 is not UTF-8"),
    "nested.json": (json.dumps({"data": ROWS}).encode(), r"`data` holds a list of objects: where one object holds all rows"),
    "pretty.json": (json.dumps(ROWS[0], indent=1).encode(), r"line 1: is not JSON.*or the whole file one array"),
    "empty.json": (b"", "is empty"),
    "none.json": (b" [ ] ", "is empty"),
    "not.xlsx": (b"no zip", r"is no whole XLSX file"),
    "other.xlsx": (b"", r"is no whole XLSX file"),
    "no_book.xlsx": (zip_of({"[Content_Types].xml": "<x/>"}), r"is no whole XLSX file"),
    "zeros.parquet": (b"PAR1" + bytes(500) + b"PAR1", r"is a damaged Parquet file \([^\n]*\): write"),
    "two.xlsx": (xlsx_of(one=TABLE, two=TABLE), r"has rows in 2 sheets \(`one`, `two`\)"),
    "empty.xlsx": (xlsx_of(one=pd.DataFrame()), r"is empty: it needs a header row"),
    "header.xlsx": (xlsx_of(one=TABLE[:0]), r"has a header but no rows"),
    "a.parquet.gz": (b"x", r"its format cannot be told from `.gz`: unpack it: that format is packed in itself"),
    "a.zip": (b"x", r"its format cannot be told from `.zip`: unpack it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_what_to_do(tmp_path, name):
    content, says = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as refused:
        frame(tmp_path / "home", source=str(tmp_path / name))
    assert name in str(refused.value) and len(str(refused.value)) < 1000


def test_a_truncated_spreadsheet_is_an_input_error(tmp_path):
    whole = xlsx_of(one=TABLE)
    for size in (len(whole) // 2, len(whole) - 10):
        (tmp_path / "a.xlsx").write_bytes(whole[:size])
        with pytest.raises(InputError, match="is no whole XLSX file"):
            frame(tmp_path / "home", source=str(tmp_path / "a.xlsx"))


# --- what unpacks without end ----------------------------------------------------------------------------------------------


def bomb(line: bytes, times: int, end: str) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) if end == "gz" else lzma.open(out, "wb", preset=0) as packed:
        packed.write(b"text,label\n")
        for _ in range(times):
            packed.write(line * 1000)
    return out.getvalue()


@pytest.mark.parametrize("end", ["gz", "xz"])
@pytest.mark.parametrize(("line", "times"), [(b"\n" * 1000, 4), (b"a,b\n" * 250, 4)], ids=["empty lines", "equal rows"])
def test_a_packed_file_that_grows_without_measure_is_refused_before_it_is_read_whole(tmp_path, monkeypatch, line, times, end):
    monkeypatch.setattr(streams, "ALWAYS", 1 << 16)
    path = tmp_path / f"a.csv.{end}"
    path.write_bytes(bomb(line, times, end))
    (file,) = resolve_source(str(path))
    given = 0
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"), streams.open_text(file) as stream:
        while block := stream.read(1 << 16):
            given += len(block)
    assert given <= (1 << 16) + streams.MOST_TIMES * path.stat().st_size
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        list(read_chunks(file, ("text",), 50_000))


def test_a_spreadsheet_that_unpacks_without_measure_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "ALWAYS", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", b"<row/>" * 2_000_000)
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        frame(tmp_path / "home", source=str(tmp_path / "a.xlsx"))


def test_a_parquet_file_that_claims_far_more_rows_than_it_holds_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "ALWAYS", 1 << 20)
    same = pa.array(["a"]).dictionary_encode()
    rows = pa.DictionaryArray.from_arrays(pa.array([0] * 400_000, type=pa.int32()), same.dictionary)
    pq.write_table(pa.table({"text": rows, "label": rows}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        frame(tmp_path / "home", source=str(tmp_path / "a.parquet"))


# --- half a character costs its row ------------------------------------------------------------------------------------------


def test_what_is_no_character_costs_its_row_and_not_the_run(make, tmp_path):
    rows = [{"n": f"r{i}", "text": f"ticket {i} about {i * 7}", "label": "ab"[i % 2], "who": "x"} for i in range(60)]
    broken = {"n": {"n": "\ud800"}, "text": {"text": "half \udc00"}, "label": {"label": "\ud800"}, "who": {"who": "\udfff"}}
    lines = [json.dumps({**rows[0], "n": f"broken {name}", **cell}) for name, cell in broken.items()]
    (tmp_path / "a.jsonl").write_text("\n".join([*map(json.dumps, rows), *lines]))
    made = make(source=str(tmp_path / "a.jsonl"), id="n", slices=("who",))
    aside = pd.read_parquet(made.path / "quarantine.parquet").set_index("id")["reason"]
    assert aside.filter(like="broken").to_dict() == {
        f"broken {name}": f"its `{name}` holds half of a surrogate pair, which is no character" for name in ("text", "label", "who")
    }
    assert made.manifest["rows"]["read"] == 64


def test_bytes_that_are_no_utf8_cost_their_row_in_parquet(tmp_path):
    raw = pa.array([b"fine", b"\xff\xfe", b"fine too"], type=pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"text": texts, "label": ["a", "b", "a"]}), tmp_path / "a.parquet")
    with loaded_source(Data(source=str(tmp_path / "a.parquet")), "text-classification", tmp_path / "home") as one:
        assert one.unusable == {1: "its `text` holds half of a surrogate pair, which is no character"} and len(one) == 3


def test_the_places_of_broken_rows_are_those_within_the_window(tmp_path):
    rows = [{"text": "\ud800" if i % 3 == 0 else "a", "label": "x", "t": f"2026-01-0{1 + i}"} for i in range(8)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = Data(source=str(tmp_path / "a.jsonl"), time="t", window={"start": "2026-01-03"})
    with loaded_source(data, "text-classification", tmp_path / "home") as one:
        assert sorted(one.unusable) == [1, 4] and one.rows[1]["text"] is None and one.rows[4]["text"] is None


def test_a_missing_extra_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "a.xlsx").write_bytes(FILES["a.xlsx"])
    with pytest.raises(InfraError, match=r"pip install 'tunekeeper\[xlsx\]'"):
        frame(tmp_path / "home", source=str(tmp_path / "a.xlsx"))


# --- what spreadsheets and exports do -------------------------------------------------------------------------------------


def sheet(path: Path, *rows: list[object]) -> str:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return str(path)


@pytest.mark.parametrize("end", ["csv", "xlsx"])
def test_the_last_columns_without_a_name_are_none(tmp_path, end):
    path = tmp_path / f"a.{end}"
    rows = [["text", "label", "", " "], ["hello", "x", "", ""], ["there", "y", "", ""]]
    if end == "csv":
        path.write_text("".join(",".join(row) + "\n" for row in rows))
    else:
        sheet(path, *rows)
    (file,) = resolve_source(str(path))
    assert file_header(file, 100) == ("text", "label")
    batch = inspect_files(str(path), ("text",), "auto", 100)
    assert list(batch.columns) == ["text", "label"] and batch.rows == len(frame(tmp_path / "home", source=str(path))) == 2


def test_escapes_of_a_spreadsheet_are_the_characters_that_they_stand_for(tmp_path):
    text = "one_x000D_\ntwo _x005F_x000D_ _xD83D__xDE00_ a_xyz_"
    source = sheet(tmp_path / "a.xlsx", ["te_x005F_x0041_xt", "label"], [text, "x"])
    (chunk,) = read_chunks(resolve_source(source)[0], ("te_x0041_xt",), 100)
    assert chunk.columns["te_x0041_xt"] == ["one\r\ntwo _x000D_ \U0001f600 a_xyz_"]


def test_what_a_formula_gives_where_it_fails_is_no_text_and_no_class(tmp_path):
    source = sheet(tmp_path / "a.xlsx", ["text", "label"], ["one", "#N/A"], ["#REF!", "x"], ["it says #N/A", "x"])
    found = frame(tmp_path / "home", source=source)
    assert found[["text", "target"]].fillna("").values.tolist() == [["one", ""], ["", "x"], ["it says #N/A", "x"]]


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"])
def test_a_spreadsheet_with_damaged_bytes_is_an_input_error(tmp_path, part):
    whole = xlsx_of(one=TABLE)
    info = zipfile.ZipFile(io.BytesIO(whole)).getinfo(part)
    start = info.header_offset + 30 + len(part)
    for place in range(0, info.compress_size, max(1, info.compress_size // 20)):
        (tmp_path / "a.xlsx").write_bytes(whole[: start + place] + b"\xff\xff\xff" + whole[start + place + 3 :])
        with pytest.raises(InputError, match=r"a\.xlsx: is no whole XLSX file .*: save or copy it again"):
            frame(tmp_path / "home", source=str(tmp_path / "a.xlsx"))


def test_a_bad_line_is_named_by_its_own_number_below_blank_ones(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n\n"a\n\nb",x\n\n\n"c\nd",x,more\n')
    with pytest.raises(InputError, match=r"a\.csv line 8: has 3 fields where the header has 2"):
        frame(tmp_path / "home", source=str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("kan,x\n" * 50, r"line 4 \(read on to line 54\): unexpected end of data"),
        ("kan,x\n" * 6 + '"quoted",x\n', r"line 4 \(read on to line 11\): ',' expected after"),
        ("kan,x\n" * 3_000_000, r"line 4 \(read on to line \d+\): field larger than field limit"),
    ],
    ids=["to the end", "to the next quote", "to the limit"],
)
def test_a_quote_that_is_not_closed_is_named_by_the_line_that_it_opens_in(tmp_path, rest, says):
    (tmp_path / "a.csv").write_text(f'text,label\n"two\nlines",x\n"open,x\n{rest}')
    with pytest.raises(InputError, match=rf"a\.csv {says}.*: mend the quotes"):
        frame(tmp_path / "home", source=str(tmp_path / "a.csv"))


def test_a_header_that_is_there_once_more_is_no_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(csv_of() + csv_of())
    with pytest.raises(InputError, match=r"a\.csv line 14: is the header once more.*`tail -n \+2`"):
        frame(tmp_path / "home", source=str(path))
    path.write_text("text\nhello\ntext\n")
    (file,) = resolve_source(str(path))
    assert [chunk.columns["text"] for chunk in read_chunks(file, ("text",), 100)] == [["hello", "text"]]


@pytest.mark.parametrize(("content", "line"), [("text,label\ra,x\rb,y\r", 1), ("text,label\na,x\nb\rc,y\n", 3)])
def test_lines_that_end_with_a_carriage_return_alone_are_named_as_such(tmp_path, content, line):
    (tmp_path / "a.csv").write_bytes(content.encode())
    with pytest.raises(InputError, match=rf"line {line}: has a carriage return .*save the file with LF line ends"):
        frame(tmp_path / "home", source=str(tmp_path / "a.csv"))


# --- Parquet and JSON -----------------------------------------------------------------------------------------------------


def test_objects_need_not_all_have_a_column_and_a_column_that_none_has_is_named(tmp_path):
    rows = [{"text": f"t{i}"} if i < 2500 else {"text": f"t{i}", "label": "x"} for i in range(2600)]
    for name, content in (("a.json", json.dumps(rows)), ("a.jsonl", "\n".join(map(json.dumps, rows)))):
        (tmp_path / name).write_text(content)
        (file,) = resolve_source(str(tmp_path / name))
        read = [cell for chunk in read_chunks(file, ("label",), 100) for cell in chunk.columns["label"]]
        assert read == [None] * 2500 + ["x"] * 100
        with pytest.raises(InputError, match=rf"{name}: has no column `kind`; its columns are `label`, `text`"):
            list(read_chunks(file, ("kind",), 100))


def not_utf8(kind: pa.DataType) -> pa.Array:
    """Two texts, the second of which is none."""
    raw = pa.array([b"fine", b"\xff\xfe"], type=pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays([0, 1, 2], texts)
    return pa.StructArray.from_arrays([texts], ["a"]) if pa.types.is_struct(kind) else texts


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.struct([("a", pa.string())]), pa.string()])
def test_bytes_that_are_no_utf8_cost_their_row_at_any_depth_and_scoring_keeps_it(tmp_path, kind):
    source = str(tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["one", "two"], "label": ["a", "b"], "more": not_utf8(kind)}), source)
    batch = inspect_files(source, ("text",), "auto", 100)
    (table,) = [batch.table(chunk) for chunk in batch.chunks()]
    assert "fine" in str(table["more"][0].as_py()) and "\ufffd" in str(table["more"][1].as_py())
    if pa.types.is_list(kind):
        pq.write_table(pa.table({"text": not_utf8(kind), "label": ["a", "b"]}), source)
        with loaded_source(Data(source=source), "text-classification", tmp_path / "home") as one:
            assert one.unusable == {1: "its `text` holds half of a surrogate pair, which is no character"}
        batch = inspect_files(source, ("text",), "auto", 100)
        (table,) = [batch.table(chunk) for chunk in batch.chunks()]
        assert table["text"].to_pylist() == [["fine"], None]


def test_a_time_of_a_zone_that_is_unknown_is_named_by_its_column(tmp_path):
    times = pa.array([0, 1], pa.timestamp("us", "Mars/Olympus"))
    pq.write_table(pa.table({"text": ["one", "two"], "label": ["a", "b"], "at": times}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: `at` holds a value that cannot be read .*Mars/Olympus.*: correct it"):
        frame(tmp_path / "home", source=str(tmp_path / "a.parquet"), time="at")


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_time_beyond_the_year_9999_is_named_by_its_column(tmp_path, unit):
    times = pa.array([0, 2**60], pa.timestamp(unit))
    pq.write_table(pa.table({"text": ["one", "two"], "label": ["a", "b"], "at": times}), tmp_path / "a.parquet")
    assert len(frame(tmp_path / "home", source=str(tmp_path / "a.parquet"))) == 2
    with pytest.raises(InputError, match=r"a\.parquet: `at` holds a value that cannot be read .*: correct it"):
        frame(tmp_path / "home", source=str(tmp_path / "a.parquet"), time="at")


class Keys(encryption.KmsClient):
    """Gives every key away."""

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


@pytest.mark.parametrize(("plain", "says"), [(True, "has encrypted columns"), (False, "no decryption found")])
def test_encrypted_columns_are_refused_and_end_no_process(tmp_path, plain, says):
    how = encryption.EncryptionConfiguration(footer_key="a", column_keys={"b": ["text"]}, plaintext_footer=plain)
    keys = encryption.CryptoFactory(lambda _: Keys())
    properties = keys.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    pq.write_table(pa.Table.from_pandas(TABLE), tmp_path / "a.parquet", encryption_properties=properties)
    code = "import sys; from tasks.data.sources import read_files, source_files as s; "
    code += "print(read_files.file_header(*s.resolve_source(sys.argv[1]), 100))"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and says in ended.stderr.splitlines()[-1]


def test_a_column_whose_name_is_not_utf8_is_an_input_error(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pandas(TABLE).append_column("naem", pa.array(["x"] * 6)), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"naem", b"na\xefm"))
    with pytest.raises(InputError, match=r"a\.parquet: has a column whose name is not UTF-8"):
        frame(tmp_path / "home", source=str(path))


def test_a_page_that_is_not_what_its_checksum_says_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    how = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    pq.write_table(pa.Table.from_pandas(TABLE), path, **how)
    path.write_bytes(path.read_bytes().replace(b'ticket "1"', b'ticket "9"', 1))
    with pytest.raises(InputError, match=r"a\.parquet: is a damaged Parquet file"):
        frame(tmp_path / "home", source=str(path))


@pytest.mark.parametrize(
    ("numbers", "kind", "kept"),
    [
        ([2**53 + 1, 1.5], "string", ["9007199254740993", "1.5"]),
        ([1.5, -(2**53) - 1], "string", ["1.5", "-9007199254740993"]),
        ([2**53, 1.5], "double", [2.0**53, 1.5]),
        ([2**53 + 1, 1], "int64", [2**53 + 1, 1]),
        ([2**63, 1], "string", ["9223372036854775808", "1"]),
        ([10**30, 1.5], "string", [str(10**30), "1.5"]),
        ([{"a": "\ud800"}, None], "string", ['{"a": "\ufffd"}', None]),
    ],
)
def test_a_batch_keeps_every_digit_of_a_number(tmp_path, numbers, kind, kept):
    rows = [{"text": "one", "n": n} for n in numbers]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    batch = inspect_files(str(tmp_path / "a.jsonl"), ("text",), "auto", 100)
    (table,) = [batch.table(chunk) for chunk in batch.chunks()]
    assert str(batch.columns["n"]) == kind and table["n"].to_pylist() == kept


# --- packed files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [bz2, gzip, lzma])
def test_members_that_are_empty_and_zeros_at_the_end_hide_no_row(tmp_path, codec):
    start, rest = csv_of()[:40], csv_of()[40:]
    packed = codec.compress(start) + codec.compress(b"") + codec.compress(rest) + b"\0" * 512
    path = tmp_path / f"a.csv.{ {bz2: 'bz2', gzip: 'gz', lzma: 'xz'}[codec] }"
    path.write_bytes(packed)
    assert len(frame(tmp_path / "home", source=str(path))) == len(TABLE)


@pytest.mark.parametrize("end", PACKERS)
@pytest.mark.parametrize("after", ["garbage", "a damaged member", "half a member"])
def test_what_follows_a_whole_member_and_is_none_is_an_input_error(tmp_path, end, after):
    compress = PACKERS[end]
    more = compress(ROWS_ALONE * 50)
    rest = {"garbage": b"garbage", "a damaged member": b"X" + more[1:], "half a member": more[: len(more) // 2]}[after]
    (tmp_path / f"a.csv.{end}").write_bytes(compress(csv_of()) + rest)
    with pytest.raises(InputError, match=rf"a\.csv\.{end}: is no whole \w+ file"):
        frame(tmp_path / "home", source=str(tmp_path / f"a.csv.{end}"))


@pytest.mark.parametrize("end", PACKERS)
def test_a_packed_file_with_damaged_bytes_is_an_input_error(tmp_path, end):
    whole = PACKERS[end](csv_of() * 50)
    refused = []
    for place in range(0, len(whole) - 3, max(1, len(whole) // 20)):
        path = tmp_path / f"a.csv.{end}"
        path.write_bytes(whole[:place] + bytes(byte ^ 255 for byte in whole[place : place + 3]) + whole[place + 3 :])
        try:
            frame(tmp_path / "home", source=str(path))
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 10 and all(f"a.csv.{end}" in message for message in refused)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (xlsx_of(one=TABLE), r"is a \.xlsx file by its first bytes, and is read as csv: name it \.xlsx"),
        (b"PK\x03\x04rest", r"is a \.zip file by its first bytes, and is read as csv: unpack it"),
        (b"7z\xbc\xaf\x27\x1crest", r"is a \.7z file by its first bytes, and is read as csv: unpack it"),
        (b"\x04\x22\x4d\x18rest", r"is a \.lz4 file by its first bytes, and is read as csv: pack it as \.gz or \.zst"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"is a \.xls file by its first bytes, and is read as csv: save it as \.xlsx"),
    ],
)
def test_a_file_of_another_name_is_told_what_helps(tmp_path, content, says):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=says):
        frame(tmp_path / "home", source=str(tmp_path / "a.csv"))


@pytest.mark.parametrize("before", ["", "\n\n", "sep=;\n"])
def test_the_separator_is_seen_where_a_name_in_the_header_has_a_line_break(tmp_path, before):
    (tmp_path / "a.csv").write_text(f'{before}"more, or\n\nless";text;label\n1;hello, you;x\n')
    (file,) = resolve_source(str(tmp_path / "a.csv"))
    assert file_header(file, 100) == ("more, or\n\nless", "text", "label")
    (chunk,) = read_chunks(file, ("text", "label"), 100)
    assert chunk.columns == {"text": ["hello, you"], "label": ["x"]}


def test_a_quote_that_never_ends_in_the_header_is_named(tmp_path):
    (tmp_path / "a.csv").write_text('text,"label\n' + "a,b\n" * 100)
    with pytest.raises(InputError, match=r"a\.csv line 1 \(read on to line 101\): unexpected end"):
        frame(tmp_path / "home", source=str(tmp_path / "a.csv"))
