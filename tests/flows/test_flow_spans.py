"""Spans of texts: found, judged, shown, scored in files, monitored and corrected."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.data.spans import spans_of, write_correction, write_spans
from tasks.release import champion_files
from tasks.report.run.data import from_json
from tasks.serving.packaged_model import load_package
from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

NAMES = {"id": "ticket", "target": "spans"}
FIT = (
    "problem=token-classification",
    "model.max_length=24",
    "training.epochs=8",
    "training.learning_rate=0.01",
    "adapter.kind=lora",
)
WATCH = ("monitor.min_rows=50", "monitor.looks_per_year=1")


def serve(keep, texts, right, *, source="audit"):
    """Let the champion answer texts, as the service logs it; the right spans are told of each."""
    model = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    now, audit = datetime.now(UTC), source == "audit"
    answers = [
        Answer(new_id(), now, "1", str(text), said.prediction, said.score, 1.0, audit, float(audit), "predict")
        for text, said in zip(model.prepare(texts), model.answer(texts), strict=True)
    ]
    log = open_traffic(keep.home.path, "tiny")
    log.answered(answers)
    pairs = zip(answers, right, strict=True)
    log.feedback([Feedback(new_id(), each.id, now, "label", write_correction(spans, each.text), source) for each, spans in pairs])
    log.close()


def look(keep):
    code, printed = keep.command("monitor", str(keep.config), *FIT, *WATCH, "--json")
    assert code == 0, keep.said
    return json.loads(printed)


@pytest.mark.slow
def test_spans_are_judged_by_the_f1_of_rows_shown_scored_and_watched(keep):
    rows = tiny.span_rows(400).rename(columns=NAMES).assign(half="all")
    rows.loc[3, "spans"] = '[[0, 900, "KEY red"]]'
    rows.to_csv(keep.folder / "rows.csv", index=False)
    found = keep.retrain(*FIT)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["f1_rows"] > 0.7, found["reasons"]
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert report.confusion is None and not report.classes and not report.errors
    assert {row.name for row in report.spans.types} == {"KEY red", "KEY north"}
    assert any("lies outside the text" in count.name for count in report.data.quarantined)
    assert keep.retrain(*FIT)["skipped"]

    out = keep.folder / "scored.parquet"
    asked = pd.DataFrame({"ticket": ["a", "b"], "text": [f"  {rows['text'][0]}\u200b", ""]})
    asked.to_json(keep.folder / "asked.jsonl", orient="records", lines=True)
    code, printed = keep.command(
        "score", str(keep.config), *FIT, "--input", str(keep.folder / "asked.jsonl"), "--output", str(out), "--json"
    )
    assert code == 0, printed
    scored = pd.read_parquet(out)
    entities = json.loads(scored["prediction"][0])
    assert [(each["start"] - 2, each["end"] - 2, each["label"]) for each in entities] == list(spans_of(rows["spans"][0]))
    assert pd.isna(scored["prediction"][1])

    alike = tiny.span_rows(200, seed=5)
    serve(keep, alike["text"].tolist(), alike["target"].tolist())
    quiet = look(keep)
    assert not quiet["alarm"], quiet
    judged = {finding["monitor"] for finding in quiet["findings"] if finding["p"] is not None}
    assert {"predictions.labels", "performance.accuracy"} <= judged and "predictions.classes" not in judged
    one = [row for row in tiny.rows(900, seed=6) if row["label"] == "red first"]
    serve(keep, [row["text"] for row in one], ["[]"] * len(one))
    findings = {finding["monitor"]: finding for finding in look(keep)["findings"]}
    assert findings["predictions.labels"]["alarm"] and findings["performance.accuracy"]["alarm"], findings["predictions.labels"]


@pytest.mark.slow
def test_words_with_tags_are_learned_from_and_so_are_spans_that_people_set_right(keep):
    rows = tiny.span_rows(300)
    tags = []
    for text, target in zip(rows["text"], rows["target"], strict=True):
        places, at = [], 0
        for word in text.split():
            places.append((at, at + len(word)))
            at += len(word) + 1
        marks = {start: ("B", label) for start, _, label in spans_of(target)}
        inside = {at: label for start, end, label in spans_of(target) for at, _ in places if start < at < end}
        tags.append([f"B-{marks[at][1]}" if at in marks else f"I-{inside[at]}" if at in inside else "O" for at, _ in places])
    table = pd.DataFrame({"ticket": rows["id"], "words": rows["text"].map(str.split), "tags": tags, "half": "all"})
    table.to_json(keep.folder / "rows.jsonl", orient="records", lines=True)
    words = (f"data.source={keep.folder / 'rows.jsonl'}", "data.words=words", "data.tags=tags")
    found = keep.retrain(*FIT, *words)
    snapshot = pd.concat(
        [pd.read_parquet(keep.home.snapshots / found["snapshot"] / f"{name}.parquet") for name in ("train", "test")]
    )
    expected = dict(zip(rows["text"], rows["target"], strict=True))
    assert len(snapshot) > 200 and all(expected[row.text] == row.target for row in snapshot.itertuples())
    assert found["metrics"]["f1_rows"] > 0.6, found["metrics"]

    fresh = tiny.span_rows(60, seed=7)
    serve(keep, fresh["text"].tolist(), [write_spans([(0, 3, "Key Red")])] * len(fresh), source="user")
    again = keep.retrain(*FIT, *words, "data.feedback=true", "training.epochs=1")
    train = pd.read_parquet(keep.home.snapshots / again["snapshot"] / "train.parquet")
    told = train[train["origin"] == "feedback"]
    assert len(told) > 40 and set(told["target"]) == {'[[0,3,"KEY red"]]'}, "spelled as the source spells it"

    table.assign(tags=[[1] * len(each) for each in tags]).to_json(keep.folder / "rows.jsonl", orient="records", lines=True)
    assert "`tags` holds numbers" in keep.refused(*FIT, *words)
    assert "tags is set and words is not" in keep.refused(*FIT, words[0], words[2])
    assert "stand instead of text and spans" in keep.refused(*FIT, *words, "data.spans=other")


@pytest.mark.slow
def test_a_model_of_another_maker_is_adopted_and_answers(keep, bert_folder):
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    names = dict(enumerate(("O", "B-KEY red", "I-KEY red", "B-KEY north", "I-KEY north")))
    model = AutoModelForTokenClassification.from_pretrained(
        bert_folder, num_labels=5, id2label=names, label2id={name: code for code, name in names.items()}
    )
    model.save_pretrained(keep.folder / "other")
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(keep.folder / "other")
    tiny.span_rows(400).rename(columns=NAMES).assign(half="all").to_csv(keep.folder / "rows.csv", index=False)
    code, printed = keep.command("adopt", str(keep.config), *FIT, "--model", str(keep.folder / "other"), "--who", "Ada", "--json")
    assert code == 0, keep.said
    assert json.loads(printed)["metrics"]["f1_rows"] < 0.9
    served = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    assert served.predict(["red kan"])["entities"].map(len).iloc[0] >= 0
