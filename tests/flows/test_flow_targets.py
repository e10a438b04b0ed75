"""Many labels a text: trained, judged, explained, monitored and corrected; numbers likewise, in their own unit."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.data.label_sets import write_label_set
from tasks.release import champion_files
from tasks.report.monitor.data import from_json as watch_from_json
from tasks.report.run.data import from_json
from tasks.serving.packaged_model import load_package
from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

WATCH = ("monitor.min_rows=50", "monitor.looks_per_year=1")


def serve(keep, texts, right, *, source="audit"):
    """Let the champion answer texts, as the service logs it; what is right is told of each."""
    model = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    said = model.answer(texts)
    now, audit = datetime.now(UTC), source == "audit"
    answers = [
        Answer(new_id(), now, "1", text, answer.prediction, answer.score, 1.0, audit, float(audit), "predict")
        for text, answer in zip(model.prepare(texts), said, strict=True)
    ]
    log = open_traffic(keep.home.path, "tiny")
    log.answered(answers)
    pairs = zip(answers, right, strict=True)
    log.feedback([Feedback(new_id(), answer.id, now, "label", value, source) for answer, value in pairs])
    log.close()


def look(keep, *settings):
    code, printed = keep.command("monitor", str(keep.config), *settings, *WATCH, "--json")
    assert code == 0, keep.said
    return json.loads(printed)


def alarms(found):
    return {finding["monitor"] for finding in found["findings"] if finding["alarm"]}


NAMES = {"id": "ticket", "target": "tags"}


@pytest.fixture
def tagged(keep):
    rows = tiny.label_set_rows(400).rename(columns=NAMES).assign(half=[f"h{n % 2}" for n in range(400)])
    rows.to_csv(keep.folder / "rows.csv", index=False)
    return rows


SETS = ("data.labels=tags", "model.max_length=40", "training.epochs=14", "training.learning_rate=0.01", "adapter.kind=lora")


@pytest.mark.slow
def test_a_classifier_of_many_labels_is_judged_by_the_f1_of_rows_and_explained_label_by_label(keep, tagged):
    found = keep.retrain(*SETS)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["f1_rows"] > 0.7, found["reasons"]
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.problem == "multi-label-classification" and report.confusion is None and report.calibration is None
    assert {row.name for row in report.classes} == {"red first", "blue first", "north first", "south first"}
    assert [score.metric for score in report.systems[0].scores] == ["f1_rows", "subset_accuracy", "f1_micro", "f1_macro"]
    assert keep.retrain(*SETS)["skipped"]

    alike = tiny.label_set_rows(200, seed=5)
    serve(keep, alike["text"].tolist(), alike["target"].tolist())
    quiet = look(keep, *SETS)
    assert not quiet["alarm"], quiet
    judged = {finding["monitor"] for finding in quiet["findings"] if finding["p"] is not None}
    assert {"predictions.labels", "performance.accuracy"} <= judged
    assert not judged & {"predictions.classes", "predictions.confidence", "performance.estimate", "predictions.number"}
    one = [row for row in tiny.rows(900, seed=6) if row["label"] == "red first"]
    serve(keep, [row["text"] for row in one], [write_label_set(["north first"])] * len(one))
    assert {"predictions.labels", "performance.accuracy"} <= alarms(look(keep, *SETS))

    tagged.assign(tags=tagged["tags"].str.replace("red first", "Red First")).to_csv(keep.folder / "rows.csv", index=False)
    said = keep.refused(*SETS)
    assert "contract.vocabulary" in said and "`Red First`" in said and "`red first`" in said


@pytest.mark.slow
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


@pytest.mark.slow
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

    alike = tiny.number_rows(200, seed=5)
    serve(keep, alike["text"].tolist(), alike["target"].tolist())
    quiet = look(keep, *settings)
    assert not quiet["alarm"], quiet
    judged = {finding["monitor"] for finding in quiet["findings"] if finding["p"] is not None}
    assert {"predictions.number", "performance.error"} <= judged and "performance.accuracy" not in judged
    high = [row for row in tiny.rows(900, seed=6) if row["label"] == "blue first"]
    serve(keep, [row["text"] for row in high], ["900"] * len(high))
    moved = look(keep, *settings)
    assert {"predictions.number", "performance.error"} <= alarms(moved)
    page = watch_from_json(Path(moved["report"]).with_suffix(".json").read_bytes())
    assert (page.metric, page.unit) == ("mae", "number") and [level.kind for level in page.levels] == ["test", "audit", "audit"]
    assert (
        page.levels[0].value < 5 and page.levels[2].value > 100 and "Answers are further off" in Path(moved["report"]).read_text()
    )

    fresh = tiny.number_rows(60, seed=7)
    serve(keep, fresh["text"].tolist(), fresh["target"].tolist(), source="user")
    again = keep.retrain(*settings, "data.feedback=true", "training.epochs=1")
    snapshot = pd.read_parquet(keep.home.snapshots / again["snapshot"] / "train.parquet")
    told = snapshot[snapshot["origin"] == "feedback"]
    assert len(told) > 40 and set(told["target"]) <= set(fresh["target"]) and again["champion_metrics"]["mae"] > 0
    assert "no labels to hold against one" in keep.refused(*settings, "contract.vocabulary=frozen")
    assert "must be less than 1" in keep.refused("gate.margin=2.5")


@pytest.mark.slow
def test_a_champion_of_another_problem_is_named_before_anything_is_trained_scored_or_watched(keep):
    rows = tiny.number_rows(300).rename(columns={"id": "ticket", "target": "days"}).assign(half="all", label="a")
    rows.to_csv(keep.folder / "rows.csv", index=False)
    numbers = ("problem=text-regression", "data.number=days", "gate.margin=2.5", "gate.first_margin=50", "model.max_length=24")
    assert keep.retrain(*numbers, "training.epochs=8", "training.learning_rate=0.01")["verdict"] == "PROMOTE"
    serve(keep, rows["text"].tolist()[:120], ["7"] * 120)
    runs = len(keep.runs())
    others = ("data.labels=days", "contract.vocabulary=free")
    told = "tiny version 1 answers text-regression, and problem is multi-label-classification now"
    for command in (("retrain",), ("monitor",), ("score", "--input", str(keep.folder / "rows.csv"), "--output", "o.parquet")):
        code, _ = keep.command(command[0], str(keep.config), *command[1:], *others)
        assert code == 2 and told in keep.said and "Give this config another name" in keep.said, (command, keep.said)
    assert len(keep.runs()) == runs and not (keep.folder / "o.parquet").exists()
