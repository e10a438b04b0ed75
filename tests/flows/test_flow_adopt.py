"""A model that was fine-tuned elsewhere: checked, scored, registered, champion by a person's word; then as any other version."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from configs.load import load_pipeline
from flows import adopt as flow
from flows.cli.doctor import run_checks
from flows.cli.serve import follower_ways
from tasks.learning.network import read_spec
from tasks.ledger.decisions import decisions_of, look_number
from tasks.ledger.promotions import champion_entry, ledger_history
from tasks.reference import read_reference
from tasks.release import champion_files
from tasks.report.history.data import from_json as history_from_json
from tasks.report.run.data import from_json
from tasks.traffic.log import Answer, new_id, open_traffic

GOOD = ("training.epochs=4",)
CLASSES = ("south first", "red first", "north first", "blue first")  # as somebody wrote them down, in no order


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, bert_folder):
    """A classifier trained by transformers alone, on rows of the same kind: better than the baselines, not perfect."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("finetuned")
    code = {name: place for place, name in enumerate(CLASSES)}
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        bert_folder, num_labels=4, id2label=dict(enumerate(CLASSES)), label2id=code
    )
    rows = tiny.rows(400, seed=5)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for step in range(100):
        batch = rows[(step % 10) * 40 : (step % 10 + 1) * 40]
        ids = tokenizer([row["text"] for row in batch], return_tensors="pt", padding=True)
        model(**ids, labels=torch.tensor([code[row["label"]] for row in batch])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adopt(keep, folder, *words):
    code, printed = keep.command("adopt", str(keep.config), "--model", str(folder), "--who", "Ada", *words, "--json")
    assert code == 0, keep.said
    return json.loads(printed)


def said_by_transformers(folder, texts):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=16)).logits
    return [model.config.id2label[int(place)] for place in logits.argmax(1)]


def test_an_adopted_model_is_version_1_and_challengers_are_compared_with_it(keep, finetuned):
    done = adopt(keep, finetuned)
    assert {name: done[name] for name in ("pipeline", "epoch", "kind", "from", "to", "fresh")} == {
        "pipeline": "tiny", "epoch": 1, "kind": "ADOPTED", "from": None, "to": "1", "fresh": True,
    }  # fmt: skip
    assert done["metrics"]["accuracy"] > 0.8 and keep.champion() == "1" and done["verdict"] == "ADOPTED"
    (row,) = ledger_history(keep.ledger, "tiny")
    assert (row.kind, row.who, row.state, row.verdict) == ("ADOPTED", "Ada", "applied", None)
    assert row.reason == "fine-tuned elsewhere: whether it has seen the test rows is not known"
    assert champion_entry(keep.ledger, "tiny").anchor == "1" and look_number(keep.ledger, "tiny") == 1

    page, report = Path(done["report"]).read_text(), from_json(Path(done["report"]).with_suffix(".json").read_bytes())
    assert "whether it has seen these test rows is not known" in page and "Adopted by Ada" in page
    assert report.identity.settings == {} and "fine-tuned elsewhere" in report.identity.adapter
    assert {system.name for system in report.systems} >= {"challenger", "majority class", "TF-IDF + logistic regression"}
    assert keep.command("history", str(keep.config))[0] == 0
    life = history_from_json((keep.home.path / "history" / "tiny" / "history.json").read_bytes())
    assert [(one.version, one.verdict, one.training_seconds) for one in life.versions] == [("1", "ADOPTED", None)]
    drawn = (keep.home.path / "history" / "tiny" / "history.html").read_text()
    assert "Version 1, fine-tuned elsewhere, was adopted" in drawn and "1 version adopted" in drawn
    assert keep.command("report", str(keep.config))[0] == 0
    (check,) = [check for check in run_checks(keep.home, load_pipeline(keep.config)) if check.name == "champion"]
    assert (check.state, check.what) == ("ok", "tiny version 1 (adopted), registry and ledger agree")

    challenger = keep.retrain()
    assert challenger["champion_metrics"] == done["metrics"] and challenger["look"] == 1
    assert "fine-tuned elsewhere" in Path(challenger["report"]).read_text()
    again = adopt(keep, shutil.copytree(finetuned, keep.folder / "elsewhere"))
    assert again["fresh"] is False and "not adopted twice" in again["notices"][0] and keep.versions() == {"1", "2"}


@pytest.mark.slow
def test_an_adopted_version_serves_scores_and_is_watched_as_any_other(keep, finetuned):
    import mlflow

    folder = shutil.copytree(finetuned, keep.folder / "gone tomorrow")
    adopt(keep, folder, "--reason", "it is good")
    shutil.rmtree(folder)
    texts = [row["text"] for row in tiny.rows(30, seed=8)]
    wanted = said_by_transformers(finetuned, texts)
    keep.tracking.experiment("tiny")
    assert mlflow.pyfunc.load_model("models:/tiny@champion").predict(pd.DataFrame({"text": texts}))["label"].tolist() == wanted
    kept, base = champion_files(keep.tracking, keep.home, "tiny", "1")
    assert read_spec(kept).head == "own" and base.parent == keep.home.path / "bases"
    assert (kept / "trainable.safetensors").stat().st_size < 100

    serving = follower_ways(load_pipeline(keep.config), keep.home)
    assert serving.look() == "1"
    ready, check = serving.load("1")
    assert [said.prediction for said in ready.answers(texts)] == wanted and check.startswith("checked: 16 of 16")
    keep.write(tiny.rows(30, seed=8), "new.csv")
    words = ("--input", str(keep.folder / "new.csv"), "--output", str(keep.folder / "out.parquet"))
    assert keep.command("score", str(keep.config), *words)[0] == 0
    assert pd.read_parquet(keep.folder / "out.parquet")["prediction"].tolist() == wanted

    reference = read_reference(keep.home, keep.tracking, "tiny", "1")
    assert np.isfinite(reference.points).all() and reference.rows["prediction"].isin(CLASSES).all()
    log = open_traffic(keep.home.path, "tiny")
    for rows in (tiny.rows(150, seed=3), [{"text": f"wholly unheard of {n % 83} {'zebra' * (n % 5)}"} for n in range(300)]):
        said = ready.answers([row["text"] for row in rows])
        now = datetime.now(UTC)
        log.answered([Answer(new_id(), now, "1", one.text, one.prediction, one.score, 1.0, False, 0.0, "predict") for one in said])
        code, printed = keep.command("monitor", str(keep.config), "monitor.min_rows=50", "monitor.looks_per_year=1", "--json")
        assert code == 0, keep.said
        alarms = json.loads(printed)["monitors"]
        assert ("inputs.embedding" in alarms or "inputs.vocabulary" in alarms) == (len(rows) == 300), alarms
    log.close()


@pytest.mark.slow
def test_where_a_champion_stands_another_model_is_adopted_for_a_reason_only(keep, finetuned):
    keep.retrain()
    config = str(keep.config)
    assert keep.command("adopt", config, "--model", str(finetuned), "--who", "Ada")[0] == 2
    assert "has a champion, version 1" in keep.said and "--reason" in keep.said and keep.versions() == {"1"}
    done = adopt(keep, finetuned, "--reason", "trained on ten times the rows")
    assert (done["from"], done["to"], done["champion_metrics"]["accuracy"] > 0) == ("1", "2", True)
    row = ledger_history(keep.ledger, "tiny")[-1]
    assert row.reason.startswith("trained on ten times the rows (fine-tuned elsewhere") and row.forced
    assert keep.command("rollback", config)[0] == 0 and keep.champion() == "1"
    assert keep.command("adopt", config, "--model", str(finetuned), "--who", "Ada", "--reason", "again")[0] == 2
    assert "is tiny version 2" in keep.said and "tunekeeper promote CONFIG --version 2 --reason WHY" in keep.said
    assert keep.command("promote", config, "--version", "2")[0] == 2 and "2 was adopted" in keep.said
    assert keep.command("promote", config, "--version", "2", "--reason", "it was right")[0] == 0 and keep.champion() == "2"
    assert keep.command("retrain", config, "training.start=champion")[0] == 2 and "set training.start=base" in keep.said


@pytest.mark.parametrize(
    "fails", ["publish_report", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pack_model", "record_decision"))]
)
def test_an_adoption_that_was_interrupted_is_finished_by_the_same_command(keep, finetuned, monkeypatch, fails):
    where = {"pack_model": flow.release, "publish_report": flow.publish_report, "record_decision": flow}[fails]
    with monkeypatch.context() as patch:
        patch.setattr(where, fails, lambda *given, **named: (_ for _ in ()).throw(OSError(28, "No space left on device", "disk")))
        assert keep.command("adopt", str(keep.config), "--model", str(finetuned), "--who", "Ada")[0] == 1, keep.said
    done = adopt(keep, finetuned)
    assert keep.versions() == {"1"} and keep.champion() == "1" and done["metrics"]["accuracy"] > 0.8
    assert [row.kind for row in ledger_history(keep.ledger, "tiny")] == ["ADOPTED"]
    assert [each.verdict for each in decisions_of(keep.ledger, "tiny")] == ["ADOPTED"]
    assert adopt(keep, finetuned)["fresh"] is False


def test_a_model_of_other_classes_than_the_data_or_an_adapter_is_refused_and_nothing_is_stored(keep, finetuned):
    folder = shutil.copytree(finetuned, keep.folder / "model")
    config = json.loads((folder / "config.json").read_text())
    for labels, says in (
        (("South first", "red first", "north first", "blue first"), "`South first` is `south first` in the data"),
        (
            ("refund", "red first", "north first", "blue first"),
            "the data have `south first` besides; the model has `refund` besides",
        ),
    ):
        config["id2label"] = dict(enumerate(labels))
        (folder / "config.json").write_text(json.dumps(config))
        assert keep.command("adopt", str(keep.config), "--model", str(folder), "--who", "Ada")[0] == 2
        assert says in keep.said and "Traceback" not in keep.said
    (folder / "adapter_config.json").write_text("{}")
    assert keep.command("adopt", str(keep.config), "--model", str(folder), "--who", "Ada")[0] == 2
    assert "merge it first" in keep.said
    assert keep.versions() == set() and keep.runs() == [] and ledger_history(keep.ledger, "tiny") == ()


@pytest.mark.slow
def test_a_model_that_writes_is_adopted_too(keep, llama_folder):
    keep.write(tiny.pairs(200).rename(columns={"text": "prompt", "target": "completion", "id": "ticket"}).assign(half="h"))
    settings = ("problem=text-generation", f"model.base={llama_folder}", "evaluation.decode_rows=4")
    done = adopt(keep, llama_folder, *settings)
    assert (done["to"], keep.champion()) == ("1", "1") and done["metrics"].keys() >= {"nll_per_token", "perplexity"}
    serving = follower_ways(load_pipeline(keep.config, list(settings)), keep.home)
    assert serving.look() == "1"
    ready, check = serving.load("1")
    assert check.startswith("checked") and len(ready.answers(["north kan"])) == 1
