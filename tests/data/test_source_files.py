"""Which files a source means, and their fingerprints."""

import hashlib
import os
import subprocess
import sys

import pytest

from configs.errors import InputError
from configs.schema import Data
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import left_out, resolve_source, source_files


def write(path, text="text,label\na,b\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_a_file_a_folder_a_glob_and_a_tuple_are_sources(tmp_path):
    one, two = write(tmp_path / "a.csv"), write(tmp_path / "deep" / "b.jsonl")
    write(tmp_path / "notes.txt")
    assert [f.name for f in resolve_source(one)] == ["a.csv"]
    assert [f.name for f in resolve_source(str(tmp_path))] == ["a.csv", "deep/b.jsonl"]
    assert [f.name for f in resolve_source(str(tmp_path / "**" / "*.jsonl"))] == ["deep/b.jsonl"]
    assert [(f.name, f.format) for f in resolve_source((two, one))] == [("a.csv", "csv"), ("b.jsonl", "jsonl")]


def test_names_do_not_depend_on_where_a_source_lies(tmp_path):
    for place in ("here", "there"):
        write(tmp_path / place / "day" / "a.csv")
    assert [f.name for f in resolve_source(str(tmp_path / "here"))] == [f.name for f in resolve_source(str(tmp_path / "there"))]


def test_two_files_of_one_name_are_told_apart(tmp_path):
    both = (write(tmp_path / "x" / "a.csv"), write(tmp_path / "y" / "a.csv"))
    assert len({f.name for f in resolve_source(both)}) == 2


def test_a_file_that_is_test_is_not_training_too(tmp_path):
    write(tmp_path / "a.csv")
    held = write(tmp_path / "test.csv")
    source, test = source_files(str(tmp_path), held)
    assert [f.name for f in source] == ["a.csv"] and [f.name for f in test] == ["test.csv"]
    with pytest.raises(InputError, match="nothing but the test rows"):
        source_files(held, held)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("none.csv", "no such file"),
        ("*.csv", "holds no"),
        ((), "empty list"),
        ("hf://name", "a data set and a split"),
        ("a.xyz", "format"),
    ],
)
def test_what_is_no_source_is_an_error_that_says_so(tmp_path, monkeypatch, source, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xyz").write_text("x")
    with pytest.raises(InputError, match=problem):
        resolve_source(source)


def test_the_fingerprint_is_the_hash_of_the_bytes(tmp_path):
    path = tmp_path / "a.csv"
    write(path)
    assert fingerprint_files(resolve_source(str(path))) == {"a.csv": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_fingerprint_of_a_local_hub_data_set_follows_its_files(tmp_path):
    write(tmp_path / "set" / "train.csv")
    source = resolve_source(f"hf://{tmp_path}/set/train")
    before = fingerprint_files(source)
    write(tmp_path / "set" / "train.csv", "text,label\nc,d\n")
    assert fingerprint_files(source) != before


def test_a_hub_data_set_that_is_not_cached_is_refused_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match="local cache"):
        fingerprint_files(resolve_source("hf://owner/name/train"))
    ref = tmp_path / "hub" / "datasets--owner--name" / "refs" / "main"
    write(ref, "abc")
    assert len(fingerprint_files(resolve_source("hf://owner/name/train"))) == 1


def test_asking_what_changed_imports_nothing_heavy():
    heavy = ("numpy", "pandas", "pyarrow", "datasets", "torch", "huggingface_hub")
    code = f"import sys, tasks.data.sources.fingerprints; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "is an empty text"),
        (("", "a.csv"), "is an empty text"),
        ("x" * 300 + ".csv", r"x{190}.*\.\.\.: is no path of a file \(File name too long\)"),
        ("~nobody-of-that-name/a.csv", r"the home folder that ~ stands for is not known"),
        ("**.csv", r"data.source \*\*.csv: is no pattern"),
        ("pipe.csv", r"pipe.csv: is no file but a pipe or a device"),
        ("*.csv", r"pipe.csv: is no file but a pipe or a device"),
        (".", r"pipe.csv: is no file but a pipe or a device"),
        ("/dev/null", "is no file but a pipe or a device"),
    ],
)
def test_what_can_be_no_file_of_rows_is_named_before_anything_waits_for_it(tmp_path, monkeypatch, source, problem):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=problem) as refused:
        resolve_source(source, "csv")
    assert len(str(refused.value)) < 500


def test_no_file_of_rows_in_a_folder_is_passed_over_in_silence(tmp_path):
    write(tmp_path / "here" / "a.csv")
    write(tmp_path / "there" / "b.csv")
    (tmp_path / "here" / "more").symlink_to(tmp_path / "there")
    assert [f.name for f in resolve_source(str(tmp_path / "here"))] == ["a.csv"]
    (sentence,) = left_out(Data(source=str(tmp_path / "here")))
    assert "1 of its files are not read: more (a link to a folder, which is not followed: name that folder" in sentence
    (tmp_path / "here" / "gone.csv").symlink_to(tmp_path / "unmounted" / "c.csv")
    for source in ("here", "here/*.csv"):
        with pytest.raises(InputError, match=r"gone\.csv: is a link to .*unmounted/c\.csv, which is not there"):
            resolve_source(str(tmp_path / source))


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.csv")
    write(tmp_path / "shut" / "b.csv")
    listed = os.scandir

    def scandir(place):
        if str(place).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"shut: its files cannot be listed \(Permission denied\)"):
        resolve_source(str(tmp_path))


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    write(tmp_path / "a.csv")
    write(tmp_path / os.fsdecode(b"\xff.csv"))
    with pytest.raises(InputError, match=r"\\udcff\.csv': its name is not UTF-8: rename the file"):
        resolve_source(str(tmp_path))


def test_the_mark_of_a_book_that_is_open_in_excel_is_no_book(tmp_path):
    for name in ("a.xlsx", "~$a.xlsx"):
        write(tmp_path / name)
    for source in (tmp_path, tmp_path / "*.xlsx"):
        assert [f.name for f in resolve_source(str(source))] == ["a.xlsx"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    one = write(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    for source in ((one, one), (one, f"{tmp_path}/./a.csv"), (one, str(tmp_path)), str(tmp_path)):
        assert [f.name for f in resolve_source(source)] == ["a.csv"]
