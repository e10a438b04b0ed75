"""Spans of texts: found, judged, shown, served in the caller's own characters, monitored and corrected."""

from pathlib import Path

import tiny

from tasks.report.run.data import from_json

NAMES = {"id": "ticket", "target": "spans"}
FIT = (
    "problem=token-classification",
    "model.max_length=24",
    "training.epochs=8",
    "training.learning_rate=0.01",
    "adapter.kind=lora",
)


def test_spans_are_trained_judged_and_shown(keep):
    rows = tiny.span_rows(400).rename(columns=NAMES).assign(half="all")
    rows.loc[3, "spans"] = '[[0, 900, "KEY red"]]'
    rows.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*FIT)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["f1_rows"] > 0.7, found["reasons"]
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.problem == "token-classification" and report.confusion is None
    assert {row.name for row in report.classes} == {"KEY red", "KEY north"}
    assert any("lies outside the text" in count.name for count in report.data.quarantined)
