"""A file in, the champion's answers out; what was said of them becomes the next snapshot's rows."""

import json
import shutil
import sqlite3
from datetime import UTC, datetime

import pandas as pd
import tiny

from tasks import snapshots
from tasks.traffic.log import Feedback, new_id, open_traffic, read_answers


def score(keep, source, output, *words):
    code, printed = keep.command(
        "score", str(keep.config), "--input", str(source), "--output", str(output), "--json", *words
    )  # fmt: skip
    assert code == 0, keep.said
    return json.loads(printed)


def test_the_champion_answers_a_file_a_table_and_hears_what_is_said_of_it(keep, monkeypatch, empty_database):
    source, output = keep.folder / "new.csv", keep.folder / "out" / "answers.parquet"
    keep.write(tiny.rows(200, seed=7, start=1000), "new.csv")
    code, _ = keep.command("score", str(keep.config), "--input", str(source), "--output", str(output))
    assert code == 2 and "has no champion" in keep.said and not output.parent.exists()
    keep.retrain()

    done = score(keep, source, output)
    found = pd.read_parquet(output)
    assert (done["rows"], done["answered"], done["version"], done["skipped"]) == (200, 200, "1", False)
    assert done["rows_per_second"] > 0 and done["output"] == str(output) and done["logged"]
    assert found["ticket"].tolist() == [row["ticket"] for row in tiny.rows(200, seed=7, start=1000)]
    assert set(found["prediction"]) <= {"north first", "south first", "red first", "blue first"}
    shutil.copy(empty_database, keep.folder / "another.db")
    with monkeypatch.context() as other:
        other.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{keep.folder}/another.db")
        for words in ((), ("--version", "1")):
            code, _ = keep.command("score", str(keep.config), "--input", str(source), "--output", str(output), *words)
            assert code == 1 and "the ledger names version 1 of tiny" in " ".join(keep.said.split()), keep.said
    again = score(keep, source, output)
    assert again["skipped"] and again["rows"] == 200 and again["rows_per_second"] is None

    keep.write(tiny.rows(20, seed=8), "few.csv")
    with sqlite3.connect(keep.folder / "data.db") as database:
        pd.read_csv(keep.folder / "few.csv").to_sql("tickets", database, index=False)
    table = score(keep, f"sqlite:///{keep.folder}/data.db/tickets", keep.folder / "table.parquet", "serving.log=false")
    file = score(keep, keep.folder / "few.csv", keep.folder / "few.parquet", "serving.log=false", "--version", "1")
    assert (table["rows"], table["logged"], table["input"], file["version"]) == (20, False, "sqlite", "1")
    pd.testing.assert_frame_equal(pd.read_parquet(keep.folder / "table.parquet"), pd.read_parquet(keep.folder / "few.parquet"))
    assert not [path for path in keep.folder.iterdir() if path.name.startswith(".")]

    assert set(read_answers(keep.home.path, "tiny")["id"]) == set(found["answer_id"])
    labels = {row["ticket"]: row["label"] for row in tiny.rows(200, seed=7, start=1000)}
    traffic = open_traffic(keep.home.path, "tiny")
    said = zip(found["answer_id"], found["ticket"], strict=True)
    traffic.feedback([Feedback(new_id(), answer, datetime.now(UTC), "label", labels[ticket]) for answer, ticket in said])
    traffic.close()
    assert keep.retrain()["skipped"], "data.feedback is off"
    fed = keep.retrain("data.feedback=true")
    assert not fed["skipped"]
    manifest = snapshots.open_snapshot(keep.home, fed["snapshot"]).manifest
    assert manifest["origins"]["feedback"]["train"] > 150 and "(feedback)" in manifest["sources"]
    assert manifest["origins"]["feedback"]["test"] == manifest["origins"]["feedback"]["validation"] == 0
    assert keep.retrain("data.feedback=true")["skipped"], "nothing new was said"
