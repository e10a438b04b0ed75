"""Questions on a text: trained, judged, explained, monitored, corrected and scored, from a file of rows to the next release."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks.data.answers import answer_texts, write_right_answer
from tasks.data.text_parts import join_parts
from tasks.release import champion_files
from tasks.report.run.data import from_json
from tasks.serving.packaged_model import load_package
from tasks.traffic.log import Answer, Feedback, new_id, open_traffic

SETTINGS = (
    "problem=question-answering", "model.max_length=40", "training.epochs=10", "training.learning_rate=0.01", "adapter.kind=lora",
    "training.head_learning_rate_factor=10",
)  # fmt: skip
WATCH = ("monitor.min_rows=50", "monitor.looks_per_year=1")


def serve(keep, rows, right=None, *, source="audit"):
    """Let the champion answer questions, as the service logs it; what is right is told of each."""
    model = load_package(*champion_files(keep.tracking, keep.home, "tiny", "1"), keep.home.path)
    texts = [join_parts((row["question"], row["context"])) for row in rows]
    said, now, audit = model.answer(texts), datetime.now(UTC), source == "audit"
    answers = [
        Answer(new_id(), now, "1", text, answer.prediction, answer.score, 1.0, audit, float(audit), "predict")
        for text, answer in zip(model.prepare(texts), said, strict=True)
    ]
    log = open_traffic(keep.home.path, "tiny")
    log.answered(answers)
    told = right or [row["answers"] or None for row in rows]
    pairs = zip(answers, told, strict=True)
    log.feedback([Feedback(new_id(), answer.id, now, "label", write_right_answer(value), source) for answer, value in pairs])
    log.close()
    return model.answer_table(texts, said)


def look(keep, *settings):
    code, printed = keep.command("monitor", str(keep.config), *settings, *WATCH, "--json")
    assert code == 0, keep.said
    return json.loads(printed)


@pytest.fixture
def asked(keep):
    rows = tiny.asked(400)
    rows[3]["answers"], rows[5]["answers"] = "nowhere", {"text": ["Qy7"], "answer_start": [0]}
    frame = pd.DataFrame(rows).assign(half=[f"h{n % 2}" for n in range(400)])
    frame.to_csv(keep.folder / "rows.csv", index=False)
    return rows


def test_answers_are_judged_explained_monitored_corrected_and_scored(keep, asked):
    found = keep.retrain(*SETTINGS)
    assert found["verdict"] == "PROMOTE" and found["metrics"]["f1"] > 0.8, (found["reasons"], found["metrics"])
    report = from_json(Path(found["report"]).with_suffix(".json").read_bytes())
    assert [score.metric for score in report.systems[0].scores] == ["f1", "exact_match", "has_answer_f1", "no_answer_accuracy"]
    assert [group.name for group in report.answers.groups] == ["there is an answer", "there is none"]
    for example in report.answers.worst:
        assert "".join(piece.text for piece in example.pieces if piece.given) == example.given and example.f1 < 1
    assert "Answers in their texts" in Path(found["report"]).read_text()
    reasons = [count.name for count in report.data.quarantined]
    assert any("does not stand in the context" in reason for reason in reasons)
    assert any("another text stands" in reason and "Qy7" not in reason for reason in reasons)
    assert keep.retrain(*SETTINGS)["skipped"]

    frame = serve(keep, tiny.asked(200, seed=5))
    assert set(frame.columns) == {"answer", "start", "end", "score"} and ((frame["start"] == -1) == (frame["answer"] == "")).all()
    quiet = look(keep, *SETTINGS)
    assert not quiet["alarm"], quiet
    judged = {finding["monitor"] for finding in quiet["findings"] if finding["p"] is not None}
    assert {"predictions.no_answer", "predictions.confidence", "performance.accuracy"} <= judged
    none = [row for row in tiny.asked(900, seed=6) if not row["answers"]]
    serve(keep, none, [row["context"].split()[0] for row in none])
    alarms = {finding["monitor"] for finding in look(keep, *SETTINGS)["findings"] if finding["alarm"]}
    assert {"predictions.no_answer", "performance.accuracy"} <= alarms

    fresh = tiny.asked(60, seed=7)
    serve(keep, fresh, [row["answers"] or "not there" for row in fresh], source="user")
    again = keep.retrain(*SETTINGS, "data.feedback=true", "training.epochs=1")
    snapshot = pd.read_parquet(keep.home.snapshots / again["snapshot"] / "train.parquet")
    told = snapshot[snapshot["origin"] == "feedback"]
    given = [answer_texts(target, text) for target, text in zip(told["target"], told["text"], strict=True)]
    assert 15 < len(told) < 60 and all(texts and texts[0] in ("north", "south", "red", "blue") for texts in given)

    pd.DataFrame(tiny.asked(40, seed=8)).drop(columns="answers").to_csv(keep.folder / "new.csv", index=False)
    output = keep.folder / "scored.parquet"
    code, _ = keep.command("score", str(keep.config), *SETTINGS, "--input", str(keep.folder / "new.csv"), "--output", str(output))
    assert code == 0, keep.said
    scored = pd.read_parquet(output)
    for row in scored.dropna(subset="answer_start").itertuples():
        assert row.context[int(row.answer_start) : int(row.answer_end)] == row.prediction != ""
    assert set(scored["prediction"][scored["answer_start"].isna()]) == {""} and len(scored) == 40
    assert "no labels to hold against one" in keep.refused(*SETTINGS, "contract.vocabulary=frozen")
    assert "reads no column of that name" in keep.refused(*SETTINGS, "data.label=answers2")
