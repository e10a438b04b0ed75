"""A person who knows an id learns where its row is; nobody learns the id from what they are told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from configs.load import load_pipeline
from flows.__main__ import main
from tasks.common.home import Home
from tasks.data.preparation.load import loaded_source, redactor_of
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.redaction.key import key_id, redaction_key
from tasks.data.redaction.pseudonyms import pseudonym_of
from tasks.data.snapshot.row_files import DROPPED
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import data_files
from tasks.evaluate import FRAME

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


@pytest.fixture
def home(tmp_path, monkeypatch, empty_database):
    place = tmp_path / "home"
    place.mkdir()
    shutil.copy(empty_database, place / "mlflow.db")
    monkeypatch.setenv("TUNEKEEPER_HOME", str(place))
    for name in ("MLFLOW_TRACKING_URI", "TUNEKEEPER_LEDGER_URL", "TUNEKEEPER_REDACTION_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Home(place)


def people(n=90):
    return [
        {
            "n": f"user{i}@example.com",
            "text": f"{WORDS[i % 12]} {WORDS[i // 12]} and {i * 31 % 997} more of it",
            "label": "ab"[i % 2],
        }
        for i in range(n)
    ]


def config(tmp_path, rows, **data):
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    values = {
        "name": "tiny", "problem": "text-classification", "model": {"base": "x"}, "data": {"source": "rows.csv", "id": "n", **data},
    }  # fmt: skip
    (tmp_path / "keep.yaml").write_text(yaml.safe_dump(values))
    return str(tmp_path / "keep.yaml")


def sealed(home, path):
    kept = load_pipeline(Path(path))
    redactor = redactor_of(kept.data, home.path)
    source, test = data_files(kept.data)
    with loaded_source(kept.data, kept.problem, home.path) as raw:
        candidate = prepare_rows(raw, kept.data, redactor)
        return write_snapshot(candidate, home.path, fingerprint_files(source + test), key_id(redactor.key) if redactor else None)


def find(capsys, path, value, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["find", path, "--id", value, "--json"])
    printed, said = capsys.readouterr()
    assert left.value.code == code, said
    return json.loads(printed) if code == 0 else said


def test_an_id_leads_to_its_split_and_a_pseudonym_back_to_its_row(home, tmp_path, capsys):
    path = config(tmp_path, people())
    made = sealed(home, path)
    tag = pseudonym_of("user7@example.com", redaction_key(home.path))
    split = next(s for s in ("train", "validation", "test") if tag in set(made.frame(s)["id"]))
    for asked in ("user7@example.com", tag):
        found = find(capsys, path, asked)
        assert found["source"] == ["rows.csv row 8"] and found["ids"] == [tag]
        assert [(p["snapshot"], p["where"], p["latest"]) for p in found["snapshots"]] == [(made.hash, split, False)]
        assert "example.com" not in json.dumps(found)


def test_why_a_row_is_in_no_split_is_said(home, tmp_path, capsys):
    rows = [*people(), {"n": "bad@example.com", "text": "\u200d", "label": "a"}, {**people()[3], "n": "copy@example.com"}]
    path = config(tmp_path, rows)
    made = sealed(home, path)
    (bad,) = find(capsys, path, "bad@example.com")["snapshots"]
    assert (bad["where"], bad["reason"]) == ("quarantined", "its text is empty")
    twins = [find(capsys, path, name)["snapshots"][0] for name in ("user3@example.com", "copy@example.com")]
    dropped = [twin for twin in twins if twin["where"] == "dropped"]
    assert [twin["reason"] for twin in dropped] == ["exact duplicate"]
    assert list(pd.read_parquet(made.path / DROPPED).columns) == ["id", "reason"]


def test_its_scores_are_told(home, tmp_path, capsys):
    path = config(tmp_path, people())
    row = sealed(home, path).frame("test").iloc[0]
    folder = home.path / "scores" / "abc"
    folder.mkdir(parents=True)
    pd.DataFrame([{"id": row["id"], "target": "a", "prediction": "b", "correct": 0, "slice_x": "y"}]).to_parquet(folder / FRAME)
    found = find(capsys, path, row["id"])
    assert found["scores"] == [{"scores": "abc", "version": None, "prediction": "b", "correct": 0}]


def test_an_older_snapshot_with_plain_ids_is_searched_too(home, tmp_path, capsys):
    old = sealed(home, config(tmp_path, people(), redact={"enabled": False}))
    (old.path / DROPPED).unlink()
    found = find(capsys, config(tmp_path, people()), "user7@example.com")
    assert [(p["snapshot"], p["id"]) for p in found["snapshots"]] == [(old.hash, "user7@example.com")]


def test_a_file_that_is_damaged_is_named_and_what_is_whole_is_searched(home, tmp_path, capsys):
    path = config(tmp_path, people())
    made = sealed(home, path)
    cut, empty = made.path / "train.parquet", home.path / "scores" / "abc" / FRAME
    cut.write_bytes(cut.read_bytes()[:-20])
    empty.parent.mkdir(parents=True)
    empty.touch()
    found = find(capsys, path, "user7@example.com")
    assert found["source"] == ["rows.csv row 8"] and found["snapshots"] == found["scores"] == []
    for file, told in zip((cut, empty), found["unread"], strict=True):
        assert str(file) in told and "restore it" in told
    assert f"not looked at: {cut}" in find(capsys, path, "nobody@example.com", code=2)


def test_rows_without_ids_are_found_by_file_and_number(home, tmp_path, capsys):
    path = config(tmp_path, people(), id=None)
    made = sealed(home, path)
    found = find(capsys, path, "rows.csv#8")
    assert found["source"] == ["rows.csv row 8"] and found["snapshots"][0]["snapshot"] == made.hash


def test_an_id_that_is_nowhere_is_said_to_be_nowhere_and_not_repeated(home, tmp_path, capsys):
    path = config(tmp_path, people())
    sealed(home, path)
    said = find(capsys, path, "nobody@example.com", code=2)
    assert "no row of this id" in said and "1 snapshots" in said and "nobody" not in said
    (home.path / "redaction.key").write_text("0" * 64)
    assert "1 of them were made under another redaction key" in find(capsys, path, "nobody@example.com", code=2)
    (tmp_path / "rows.csv").unlink()
    assert "the source cannot be read" in find(capsys, path, "nobody@example.com", code=2)


def test_without_json_it_is_told_in_words(home, tmp_path, capsys):
    path = config(tmp_path, people())
    sealed(home, path)
    with pytest.raises(SystemExit):
        main(["find", path, "--id", "user7@example.com"])
    said = " ".join(capsys.readouterr().err.split())
    assert "source: rows.csv row 8" in said and "snapshot " in said and "user7" not in said


@pytest.mark.parametrize("redact", [True, False])
def test_an_id_whose_bytes_are_no_utf8_is_found_as_any_other_and_an_unknown_one_is_refused(home, tmp_path, capsys, redact):
    odd = os.fsdecode(b"id-\xff\xfe")  # as the command line gives such bytes, and a table or a Parquet file too
    rows = [{**row, "n": odd if place == 4 else f"r{place}"} for place, row in enumerate(people())]
    path = config(tmp_path, people(), source="rows.jsonl", redact={"enabled": redact})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sealed(home, path)
    found = find(capsys, path, odd)
    assert found["source"] == ["rows.jsonl row 5"] and len(found["snapshots"]) == 1
    assert "no row of this id" in find(capsys, path, os.fsdecode(b"\xff"), code=2)
