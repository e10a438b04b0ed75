"""A changed vocabulary of labels, met with a champion: what is misspelt or gone stops before any training, and a schedule waits."""

import json

import pandas as pd
import pytest
import tiny
from prefect.logging import disable_run_logger

from configs.load import load_pipeline
from flows import new_data
from flows.retrain import retrain
from tasks.ledger.retrain_history import requests_of, waited_before

GOOD = ("training.epochs=4",)
CODES = {name: place for place, name in enumerate(sorted({row["label"] for row in tiny.rows(50)}))}


def relabelled(rows, labels):
    return [{**row, "label": labels(row["label"])} for row in rows]


def test_labels_in_title_case_stop_before_any_training_and_pass_when_a_person_says_so(keep):
    first = keep.retrain(*GOOD)
    assert first["verdict"] == "PROMOTE", first["reasons"]
    keep.write(relabelled(tiny.rows(300), str.title))
    said = keep.refused(*GOOD)
    rows = sum(row["label"] == "red first" for row in tiny.rows(300))
    assert f"`Red First` ({rows} rows) and `red first` (known: " in said and "champion version 1" in said
    assert "contract.vocabulary=free" in said and len(keep.runs()) == 1 and keep.versions() == {"1"} and keep.champion() == "1"
    assert len(list(keep.home.path.glob("snapshots/*/manifest.json"))) == 1 and "Red First" in keep.artifacts()["contract"]

    meant = keep.retrain(*GOOD, "contract.vocabulary=free")
    assert not meant["skipped"] and meant["snapshot"] != first["snapshot"]
    again = keep.retrain(*GOOD)  # the new labels are known, as the old ones still are: the champion's
    assert again["skipped"] and again["snapshot"] == meant["snapshot"]

    keep.write(tiny.rows(300))  # a snapshot that is found again is held against the last one too
    assert "`Red First`" in keep.refused(*GOOD)


@pytest.mark.slow
def test_whole_numbers_read_as_floats_are_the_same_classes_to_champion_and_challenger(keep):
    keep.write(relabelled(tiny.rows(300), CODES.get))
    first = keep.retrain(*GOOD)
    frame = pd.DataFrame(relabelled(tiny.rows(300), CODES.get))
    frame["label"] = frame["label"].astype("float64").where(frame.index != 7)
    frame.to_parquet(keep.folder / "floats.parquet")
    again = keep.retrain(*GOOD, f"data.source={keep.folder}/floats.parquet")
    manifests = [json.loads(file.read_text()) for file in keep.home.path.glob("snapshots/*/manifest.json")]
    assert [each["labels"] for each in manifests] == [["0", "1", "2", "3"]] * 2
    champion = again["champion_metrics"] or first["metrics"]  # None where the row without a label is one that nobody trains on
    assert champion["accuracy"] == pytest.approx(first["metrics"]["accuracy"], abs=0.05) and keep.champion() == "1"


@pytest.mark.slow
def test_a_class_that_is_gone_stops_unless_the_window_explains_it(keep):
    rows = [{**row, "day": "2026-01-05" if row["label"] == "red first" else "2026-02-05"} for row in tiny.rows(300)]
    keep.write(rows)
    keep.retrain("data.time=day")
    keep.write([row for row in rows if row["label"] != "red first"])
    said = keep.refused("data.time=day")
    assert "`red first` is gone" in said and "earlier snapshot" in said and "data.window" in said
    keep.write(rows)
    assert keep.retrain("data.time=day", "data.window.start=2026-02-01")["snapshot"]
    assert "label `red first` is gone: its rows lie outside data.window" in keep.said


@pytest.mark.slow
def test_a_schedule_waits_for_mended_data_says_so_and_goes_on_when_they_are(keep, monkeypatch):
    pipeline, sent = load_pipeline(keep.config, list(GOOD)), []
    keep.retrain(*GOOD)
    keep.write(relabelled(tiny.rows(300), str.title))
    for _ in range(2):
        state = retrain(pipeline, why="schedule", return_state=True)
        assert state.name == "Waiting" and state.is_completed() and "`Red First`" in state.message
    outcome = state.result()
    assert outcome["skipped"] and outcome["request"]["state"] == "waiting" and "`Red First`" in outcome["request"]["reason"]
    waiting = requests_of(keep.ledger, "tiny")[-1]
    assert (waiting.state, waiting.why) == ("waiting", "schedule") and waited_before(keep.ledger, "tiny")
    assert len(keep.runs()) == 1 and keep.champion() == "1"

    monkeypatch.setattr(new_data, "emit_event", lambda event, **_: sent.append(event))

    def look(*overrides):
        with disable_run_logger():
            return new_data.watch.fn(load_pipeline(keep.config, [*GOOD, *overrides]))

    assert look() == "nothing new" and sent == []  # the same rows would wait again
    assert look("contract.vocabulary=free") == "new data"
    keep.write(tiny.rows(300))
    assert look() == "new data"
    state = retrain(pipeline, why="schedule", return_state=True)
    assert state.name == "Completed" and state.result()["skipped"]
    assert requests_of(keep.ledger, "tiny")[-1].state == "skipped" and not waited_before(keep.ledger, "tiny")


def test_a_suite_that_is_broken_lets_a_schedule_wait_too(keep):
    keep.write([{**row, "label": "one"} for row in tiny.rows(60)])
    state = retrain(load_pipeline(keep.config), why="schedule", return_state=True)
    assert state.name == "Waiting" and "at least two labels" in state.message
