"""Sealed means whole, immutable, and named by its content."""

import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from configs.errors import ContractError, InfraError, InputError
from configs.schema import Data
from tasks.data.preparation.deduplicate import has_near_copy
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.snapshot.snapshot import is_whole, open_snapshot, write_snapshot

from .conftest import tickets


def test_a_snapshot_holds_its_rows_their_signatures_and_its_account(make, write):
    source = write([*tickets(200), {"n": "x", "text": "call +44 20 7946 0958", "label": "class 1"}])
    made = make(source=source, id="n", time="when", slices=("who",))
    frames = {split: made.frame(split) for split in ("train", "validation", "test")}
    manifest = made.manifest
    assert {k: len(v) for k, v in frames.items()} == manifest["splits"] and manifest["rows"]["read"] == 201
    for split, frame in frames.items():
        assert (frame["split"] == split).all() and len(made.signatures(split)) == len(frame)
        assert list(frame) == ["id", "text", "target", "time", "group", "origin", "split", "slice_who"]
    assert manifest["labels"] == ["class 0", "class 1", "class 2"] and manifest["redacted"] == {"PHONE_NUMBER": 1}
    assert set(manifest["sources"]) == {"rows.jsonl"} and len(manifest["redactor_key_id"]) == 12
    assert manifest["hash"] == made.hash == made.path.name and set(manifest["hashes"]) == {
        f"{s}_rows" for s in (*frames, "reference")
    }
    assert manifest["vocabulary"]["words"] and manifest["time"]["first"] < manifest["time"]["last"]


def test_the_same_rows_in_other_files_and_another_order_are_the_same_snapshot(make, write, home):
    rows = tickets(120)
    first = make(source=write(rows), id="n")
    random.Random(1).shuffle(rows)
    write(rows[:50], "half/a.jsonl") if (home.parent / "half").mkdir() is None else None
    write(rows[50:], "half/b.jsonl")
    second = make(source=str(home.parent / "half"), id="n")
    assert first.hash == second.hash and len(list((home / "snapshots").iterdir())) == 1


def test_any_changed_row_is_another_snapshot_and_only_its_split_has_another_hash(make, write):
    rows = tickets(120)
    before = make(source=write(rows), id="n")
    target = before.frame("test")["id"][0]
    changed = [
        {**row, "label": "class 0" if row["label"] != "class 0" else "class 1"} if row["n"] == target else row for row in rows
    ]
    after = make(source=write(changed), id="n")
    assert before.hash != after.hash
    differing = {name for name, value in before.manifest["hashes"].items() if after.manifest["hashes"][name] != value}
    assert differing == {"test_rows", "reference_rows"}


def test_rows_in_test_stay_in_test_when_rows_are_added(make, write):
    before = make(source=write(tickets(100)), id="n").frame("test")["id"]
    after = make(source=write(tickets(100) + [{**r, "n": f"u{r['n']}"} for r in tickets(100, seed=5)]), id="n")
    assert set(before) <= set(after.frame("test")["id"])


def test_sealing_at_once_gives_one_snapshot(make, write, home, together):
    source = write(tickets(60))
    made = together(lambda: make(source=source, id="n"))
    assert len({snapshot.hash for snapshot in made}) == 1
    assert [p.name for p in (home / "snapshots").iterdir()] == [made[0].hash]


def test_what_was_set_aside_is_written_redacted_with_its_reason(make, write):
    rows = [*tickets(60), {"n": "x", "text": "call +44 20 7946 0958", "label": None}]
    made = make(source=write(rows), id="n", after={"t00001": "too long for the model"})
    aside = pd.read_parquet(made.path / "quarantine.parquet").set_index("id")
    assert aside["reason"].to_dict() == {"x": "its target is empty", "t00001": "too long for the model"}
    assert "7946" not in aside.loc["x", "text"]
    assert made.manifest["quarantined"]["rows"] == 2 and "ka" not in json.dumps(made.manifest["quarantined"])


@pytest.mark.parametrize("fault", ["language", "conflict"])
def test_rows_that_are_set_aside_for_whatever_reason_count_against_the_contracts_limit(home, write, fault):
    rows = [{**row, "lang": "en"} for row in tickets(60)]
    for row in rows[:12]:
        row |= {"lang": "English"} if fault == "language" else {"text": "the same words"}
    data = Data(source=write(rows), id="n", language="lang")
    with loaded_source(data, "text-classification", home) as raw:
        candidate = prepare_rows(raw, data, None)
        reason = "its `lang` is no code of a language" if fault == "language" else "the same text is labelled `class 0`"
        with pytest.raises(ContractError, match=rf"12 of 60 rows \(20.00%\) are set aside.*allows 5.00%.*12: {reason}.*parquet"):
            write_snapshot(candidate, home, {}, None, None, 0.05)
        assert write_snapshot(candidate, home, {}, None, None, 0.2).manifest["quarantined"]["rows"] == 12


def test_near_duplicates_of_old_training_rows_are_found_by_signature(make, write):
    rows = [{**row, "text": row["text"] * 3} for row in tickets(80)]
    old = make(source=write(rows), id="n")
    fresh = make(source=write([{**row, "text": row["text"] + " once more"} for row in rows]), id="n")
    like = has_near_copy(np.asarray(old.signatures("train")), np.asarray(fresh.signatures("train")), 0.8)
    assert like.mean() > 0.5


@pytest.mark.parametrize(
    ("rows", "data", "problem"),
    [
        ([{"text": f"a {i}", "label": "x"} for i in range(40)], {}, "one class only"),
        ([{"text": " ", "label": "x"}] * 10, {}, "all 10 rows were quarantined"),
        (tickets(40), {"split": {"by": "hash", "test": 0.0}}, "no test rows"),
        ([{**row, "who": "one"} for row in tickets(40)], {"group": "who"}, "data.group: all 40 rows are of one group"),
        (
            [{**row, "who": row["n"][-1:] in "02468"} for row in tickets(40)],
            {"group": "who", "split": {"by": "hash", "test": 0.001}},
            r"no test rows are left of 40 \(in 2 groups",
        ),
        (
            [{**row, "when": "2026-01-02"} for row in tickets(40)],
            {"time": "when", "split": {"by": "time"}},
            r"no training rows are left of 40 \(all of one time, and a split by time parts no equal times\)",
        ),
        (
            [{"text": "one text", "label": "x"}] * 40,
            {"split": {"by": "hash", "test": 0.79, "validation": 0.2}},
            r"no training rows are left of 40, 39 of which are copies or set aside",
        ),
        ([{**row, "split": "test"} for row in tickets(40)], {"split": {"column": "split"}}, "no training rows are left of 40"),
    ],
)
def test_what_cannot_be_learned_or_measured_is_refused_and_explained(make, write, home, rows, data, problem):
    with pytest.raises(InputError, match=problem) as caught:
        make(source=write(rows), **data)
    assert not list((home / "snapshots").glob("*")) if (home / "snapshots").exists() else True
    assert str(caught.value).count("quarantine") and len(list((home / "quarantine").iterdir())) == 1


def test_a_given_test_label_that_training_never_saw_is_refused_by_name(make, write):
    test = [{"text": "new thing", "label": "brand new"}, {"text": "old thing", "label": "class 1"}]
    with pytest.raises(InputError, match=r"1 label.*`brand new`"):
        make(source=write(tickets(40)), test=write(test, "test.jsonl"))


def test_a_rare_label_that_only_test_has_is_set_aside(make, write):
    rows = tickets(60) + [{"n": f"r{i}", "text": f"rare {i}", "label": "rare", "who": "one"} for i in range(3)]
    made = make(source=write(rows), id="n", group="who", split={"by": "hash", "test": 0.45, "validation": 0.45})
    labels = set(made.manifest["labels"])
    aside = pd.read_parquet(made.path / "quarantine.parquet")
    assert ("rare" in labels) != (aside["reason"].str.contains("no training row is labelled `rare`").sum() == 3)


def test_a_snapshot_that_is_not_whole_is_not_opened(make, write, home):
    made = make(source=write(tickets(40)), id="n")
    (made.path / "test.parquet").unlink()
    with pytest.raises(InfraError, match=r"lacks test\.parquet"):
        open_snapshot(home, made.hash)
    assert make(source=write(tickets(40)), id="n").hash == made.hash and (made.path / "test.parquet").is_file()
    (made.path / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(InfraError, match=r"manifest\.json is damaged .*restore it"):
        open_snapshot(home, made.hash)


def test_a_snapshot_of_which_a_byte_changed_is_not_whole_and_is_made_again(make, write, home):
    made = make(source=write(tickets(40)), id="n")
    assert is_whole(home, made.hash) and not is_whole(home, "another")
    for name in ("train.parquet", "test.signatures.npy", "manifest.json"):
        file = made.path / name
        content = file.read_bytes()
        file.write_bytes(content.replace(b'"hash"', b'"ha') if name == "manifest.json" else content[:-9] + b"x" + content[-8:])
        assert not is_whole(home, made.hash)
        assert make(source=write(tickets(40)), id="n").hash == made.hash and is_whole(home, made.hash)
        assert name == "manifest.json" or file.read_bytes() == content


def test_there_may_be_no_validation_rows(make, write):
    made = make(source=write(tickets(40)), split={"by": "hash", "validation": 0.0})
    assert made.manifest["splits"]["validation"] == 0 and made.signatures("validation").shape == (0, 128)


FULL = """
import resource, sys
from pathlib import Path
from configs.errors import InfraError
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.snapshot.snapshot import write_snapshot
data, home = Data(source=sys.argv[1], id="n"), Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    with loaded_source(data, "text-classification", home) as raw:
        write_snapshot(prepare_rows(raw, data, None), home, {}, None)
except InfraError as error:
    print(error)
"""


@pytest.mark.parametrize("bytes_allowed", [1000, 40_000])
def test_a_full_disk_at_any_step_is_a_fault_of_the_world_and_leaves_nothing(write, home, bytes_allowed):
    source = write(tickets(400))
    run = subprocess.run(
        [sys.executable, "-c", FULL, source, str(home), str(bytes_allowed)], capture_output=True, text=True, check=True
    )
    assert "raise this user's limit on the size of files" in run.stdout
    assert not [p for place in ("work", "snapshots") if (home / place).exists() for p in (home / place).iterdir()]


def test_a_read_only_home_is_a_fault_of_the_world(make, write, home):
    make(source=write(tickets(40)), id="n")
    if os.geteuid() == 0:
        (home / "work").rmdir()
        (home / "work").write_text("in the way")
    else:
        home.chmod(0o500)
    with pytest.raises(InfraError, match="then run again"):
        make(source=write(tickets(41)), id="n")


KILLED = """
import os, signal, sys
from pathlib import Path
import tasks.data.snapshot.snapshot as s
from configs.schema import Data
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
s._publish = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
data = Data(source=sys.argv[1], id="n")
with loaded_source(data, "text-classification", Path(sys.argv[2])) as raw:
    s.write_snapshot(prepare_rows(raw, data, None), Path(sys.argv[2]), {}, None)
"""


def test_a_kill_leaves_no_snapshot_and_what_it_left_is_swept(make, write, home):
    source = write(tickets(40))
    run = subprocess.run([sys.executable, "-c", KILLED, source, str(home)], check=False)
    assert run.returncode == -signal.SIGKILL
    left = [*(home / "snapshots").iterdir(), *(home / "work").iterdir()]
    assert len(left) == 2 and all(p.name.startswith(("sealing-", "prepare-")) for p in left)
    for path in left:
        os.utime(path, (0, 0))
    made = make(source=source, id="n")
    assert [p.name for p in (home / "snapshots").iterdir()] == [made.hash] and not list((home / "work").iterdir())
