"""Many labels a text: trained, judged, explained, and replaced; numbers likewise, in their own unit."""

from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.report.run.data import from_json

NAMES = {"id": "ticket", "target": "tags"}


@pytest.fixture
def tagged(keep):
    rows = tiny.label_set_rows(400).rename(columns=NAMES).assign(half=[f"h{n % 2}" for n in range(400)])
    rows.to_csv(keep.folder / "rows.csv", index=False)
    return rows


SETS = ("data.labels=tags", "model.max_length=40", "training.epochs=14", "training.learning_rate=0.01", "adapter.kind=lora")


def test_a_classifier_of_many_labels_is_judged_by_the_f1_of_rows_and_explained_label_by_label(keep, tagged):
    found = keep.retrain(*SETS)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["f1_rows"] > 0.7, found["reasons"]
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.problem == "multi-label-classification" and report.confusion is None and report.calibration is None
    assert {row.name for row in report.classes} == {"red first", "blue first", "north first", "south first"}
    assert [score.metric for score in report.systems[0].scores] == ["f1_rows", "subset_accuracy", "f1_micro", "f1_macro"]
    assert keep.retrain(*SETS)["skipped"]

    tagged.assign(tags=tagged["tags"].str.replace("red first", "Red First")).to_csv(keep.folder / "rows.csv", index=False)
    said = keep.refused(*SETS)
    assert "contract.vocabulary" in said and "`Red First`" in said and "`red first`" in said


def test_columns_of_ones_and_zeros_name_the_labels(keep, tagged):
    wide = tagged.drop(columns="tags")
    for label in ("red first", "blue first", "north first", "south first"):
        wide[label] = tagged["tags"].str.contains(f'"{label}"').astype(int)
    wide.loc[0, "red first"] = 7
    wide.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(
        'data.labels=["red first", "blue first", "north first", "south first"]',
        *SETS[1:2],
        "training.epochs=1",
        "adapter.kind=lora",
    )
    rows = pd.concat([pd.read_parquet(file) for file in keep.home.snapshots.glob("*/test.parquet")])
    assert set(rows["target"]) <= set(tagged["tags"]) and found["verdict"] in ("HOLD", "INCONCLUSIVE", "PROMOTE")


def test_a_number_is_judged_in_its_own_unit(keep):
    rows = tiny.number_rows(400).rename(columns={"id": "ticket", "target": "days"}).assign(half="all")
    rows.loc[3, "days"] = "soon"
    rows.to_csv(keep.folder / "rows.csv", index=False)
    settings = (
        "problem=text-regression", "data.number=days", "model.max_length=24", "training.epochs=8", "training.learning_rate=0.01",
        "adapter.kind=lora", "gate.margin=2.5",
    )  # fmt: skip
    found = keep.retrain(*settings)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["mae"] < 5, found["reasons"]
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.numbers is not None and len(report.numbers.points) > 100 and report.comparisons[0].unit == "number"
    assert any("is no number" in count.name for count in report.data.quarantined)
    assert "mean error" in found["reasons"][0]
    assert "no labels to hold against one" in keep.refused(*settings, "contract.vocabulary=frozen")
    assert "must be less than 1" in keep.refused("gate.margin=2.5")
