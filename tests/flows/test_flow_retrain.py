"""Keeping a model over its life: what is new is done, what is not is found again."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import tiny

from configs.load import load_pipeline
from flows.cli.doctor import run_checks
from tasks import prepare, release
from tasks.context import open_context
from tasks.data.redaction.key import key_id, redaction_key
from tasks.health import upgrade
from tasks.ledger.promotions import ledger_history
from tasks.report.run.data import from_json
from tasks.serving.packaged_model import read_preparation

KEYS = {
    "pipeline", "run_id", "skipped", "verdict", "reasons", "metrics", "champion_metrics", "model", "snapshot", "train_key",
    "decision_key", "look", "report",
}  # fmt: skip
GOOD = ("training.epochs=4",)


def trainings(keep):
    """How often the training loop was entered: each writes its steps to the journal of its run, once."""
    return sorted(journal.parent.name for journal in keep.home.path.glob("runs/*/metrics.jsonl"))


def test_a_model_that_beats_the_baselines_is_champion_and_nothing_new_means_nothing_done(keep):
    first = keep.retrain()
    assert first.keys() >= KEYS and first["skipped"] is False and first["verdict"] == "PROMOTE", first["reasons"]
    assert first["model"] == {"name": "tiny", "version": "1", "uri": "models:/tiny/1"} and keep.champion() == "1"
    shown = keep.artifacts()
    assert shown["training-progress"] == 100 and first["report"] in shown["report"] and "PROMOTE" in shown["verdict"]
    assert {"contract", "metrics"} <= shown.keys()
    metrics = keep.tracking.client.get_metric_history(first["run_id"], "train/loss")
    again = keep.retrain()
    assert again == {**first, "skipped": True}
    shutil.rmtree(Path(first["report"]).parent)  # as on another machine with the same ledger
    assert keep.command("retrain", str(keep.config))[0] == 0 and "tunekeeper report" in keep.said
    assert len(keep.runs()) == 1 and keep.versions() == {"1"}
    assert keep.tracking.client.get_metric_history(first["run_id"], "train/loss") == metrics


def test_an_upgrade_says_what_it_will_do_anew_and_does_nothing_where_no_executed_line_changed(keep, monkeypatch):
    keep.retrain()
    pipeline = load_pipeline(keep.config)

    def said():
        return next(check.what for check in run_checks(keep.home, pipeline) if check.name == "upgrade")

    assert said() == "version 1 was made by this code"
    other = json.loads(json.dumps(upgrade.stage_identity(pipeline)).replace('"tasks.learning.fit.fit_network"', '"other"'))
    monkeypatch.setattr(upgrade, "stage_identity", lambda _: other)
    assert said().startswith(
        "the next run trains anew: code is another than when version 1 was made: other, tasks.learning.fit.fit_network"
    )


@pytest.mark.slow
def test_a_report_whose_numbers_are_gone_from_mlflow_is_said_with_where_they_were(keep):
    done = keep.retrain()
    for file in keep.home.artifacts.rglob("report.json"):
        file.unlink()
    assert keep.command("report", str(keep.config))[0] == 1
    assert f"runs:/{done['run_id']}/report in MLflow holds no report.json" in keep.said and "restore it from a copy" in keep.said


@pytest.mark.slow
def test_where_the_last_snapshot_was_removed_changed_data_are_prepared_all_the_same_and_it_is_said(keep):
    first = keep.retrain()
    shutil.rmtree(keep.home.snapshots / first["snapshot"])
    keep.write(tiny.rows(280))
    done = keep.retrain()
    assert done["snapshot"] != first["snapshot"] and not done["skipped"]
    assert "compared with no earlier ones" in keep.said and first["snapshot"] in keep.said


@pytest.mark.slow
def test_another_redaction_key_than_that_of_the_rows_before_is_said_on_this_machine_and_on_another(keep, monkeypatch):
    monkeypatch.delenv("TUNEKEEPER_REDACTION_KEY", raising=False)
    keep.retrain("data.redact.enabled=true")
    first, changed = key_id(redaction_key(keep.home.path)), "are redacted with key"
    assert changed not in keep.said
    (keep.home.path / "redaction.key").write_text("ab" * 32)
    context = open_context(load_pipeline(keep.config, ["data.redact.enabled=true"]), keep.home)
    now = key_id(redaction_key(keep.home.path))
    (here,) = prepare.changed_key(context, now)
    assert first in here and now in here and f"back into {keep.home.path / 'redaction.key'}" in here
    assert prepare.changed_key(context, first) == prepare.changed_key(context, None) == ()
    shutil.rmtree(keep.home.path / "index")  # as on a machine that has no snapshot of it
    assert prepare.changed_key(context, now) == (here,)
    keep.retrain("data.redact.enabled=true")
    assert changed in " ".join(keep.said.split()) and prepare.changed_key(context, now) == ()


def test_a_run_holds_the_verdict_and_all_that_was_measured(keep):
    keep.retrain()
    better = keep.retrain(*GOOD)
    run = keep.tracking.client.get_run(better["run_id"])
    assert run.data.tags["tunekeeper.verdict"] == "PROMOTE" and run.data.tags["tunekeeper.reason"] == better["reasons"][0]
    seen = run.data.metrics
    own, champion = better["metrics"]["accuracy"], better["champion_metrics"]["accuracy"]
    assert seen["test/accuracy"] == own > champion == seen["test/champion/accuracy"]
    assert {
        "train/loss", "validation/loss", "validation/calibrated_loss", "train/accuracy", "validation/accuracy", "test/log_loss",
        "test/baseline/majority class/accuracy", "test/baseline/nearest class centroid/seconds", "seconds/train", "seconds/release",
    } <= set(seen)  # fmt: skip
    assert seen["gap/train_test/accuracy"] == pytest.approx(seen["train/accuracy"] - own)
    assert seen["gap/train_test/log_loss"] == pytest.approx(seen["test/log_loss"] - seen["train/log_loss"])
    stored_as = next(value for name, value in run.data.tags.items() if name.startswith("tunekeeper.model_uri."))
    stored = keep.tracking.client.get_logged_model(stored_as.removeprefix("models:/"))
    shown = {metric.key: metric.value for metric in stored.metrics}
    assert shown == {f"test/{name}": value for name, value in better["metrics"].items()}
    scores = pd.read_parquet(keep.tracking.fetch(f"runs:/{better['run_id']}/scores.parquet", keep.folder))
    assert scores["correct"].mean() == pytest.approx(seen["test/accuracy"]) and "text" not in scores


def test_mlflows_own_fields_say_what_was_decided_by_whom_from_what_and_on_which_data(keep):
    first = keep.retrain()
    run = keep.tracking.client.get_run(first["run_id"])
    note, version = run.data.tags["mlflow.note.content"], keep.tracking.client.get_model_version("tiny", "1")
    assert "PROMOTE: tiny" in note and version.description == note and first["reasons"][0][:20] in note.replace("\\", "")
    assert note in keep.tracking.client.get_registered_model("tiny").description
    assert run.data.tags["mlflow.source.name"] == "tunekeeper retrain" and run.data.tags["mlflow.user"]
    manifest = json.loads((keep.home.snapshots / first["snapshot"] / "manifest.json").read_text())
    inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    for context, split in {"training": "train", "validation": "validation", "test": "test"}.items():
        assert inputs[context].digest == manifest["hashes"][f"{split}_rows"][:36]
        assert json.loads(inputs[context].profile) == {"num_rows": manifest["splits"][split]}
        assert json.loads(inputs[context].source) == {"uri": str(keep.folder / "rows.csv")}
    assert len(inputs) == 3 and not any(row["text"] in str(vars(each)) for each in inputs.values() for row in tiny.rows(300))


@pytest.mark.slow
def test_a_report_shows_the_losses_of_each_epoch_and_how_well_the_model_knows_its_own_rows(keep):
    first = keep.retrain(*GOOD)
    report = from_json(Path(first["report"]).with_suffix(".json").read_bytes())
    curves = {curve.name: curve for curve in report.curves}
    assert [x for x, _ in curves["training"].points] == [x for x, _ in curves["validation"].points] == [1.0, 2.0, 3.0, 4.0]
    assert report.kept_epoch in (1, 2, 3, 4)
    assert report.fit and {split.name for split in report.fit.splits} == {"train", "validation", "test"}
    accuracy = next(score for score in report.fit.scores if score.metric == "accuracy")
    assert accuracy.test == first["metrics"]["accuracy"] and accuracy.train is not None and accuracy.validation is not None
    scored = sorted(keep.home.path.glob("scores/*/metrics.json"))
    keep.retrain(*GOOD, "gate.alpha=0.04")  # decided again, on scores that are there
    assert sorted(keep.home.path.glob("scores/*/metrics.json")) == scored


def test_data_model_and_service_are_linked_as_assets(keep):
    first = keep.retrain()
    data, model, service = f"tiny/snapshot/{first['snapshot'][:16]}", "tiny/version/1", "tiny/champion"
    assert keep.links({(data, None), (model, data), (service, model)})


@pytest.mark.slow
def test_names_paths_and_checkpoints_are_not_what_a_model_is_made_of(keep):
    first = keep.retrain()
    (keep.folder / "moved").mkdir()
    shutil.move(keep.folder / "rows.csv", keep.folder / "moved" / "other.csv")
    again = keep.retrain(f"data.source={keep.folder}/moved/other.csv", "training.checkpoint_every=7")
    assert again["skipped"] and again["train_key"] == first["train_key"]


def test_another_gate_decides_again_and_trains_nothing(keep):
    first = keep.retrain()
    again = keep.retrain("gate.alpha=0.04")
    assert not again["skipped"] and again["decision_key"] != first["decision_key"]
    same = ("run_id", "weights_sha256", "training_seconds", "train_key", "model", "snapshot", "metrics")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert keep.versions() == {"1"} and len(keep.runs()) == 1 and keep.champion() == "1"
    assert [row.kind for row in ledger_history(keep.ledger, "tiny")] == ["FIRST"]


def test_a_changed_row_is_another_snapshot_and_another_run(keep):
    first = keep.retrain()
    keep.write([*tiny.rows(300), *tiny.rows(1, seed=9, start=300)])
    again = keep.retrain()
    assert not again["skipped"] and again["snapshot"] != first["snapshot"]
    if again["train_key"] == first["train_key"]:  # the new row is one of test: nothing to learn from it
        assert again["run_id"] == first["run_id"]
    keep.write(tiny.rows(320, seed=1))
    other = keep.retrain()
    assert other["train_key"] != first["train_key"] and other["run_id"] != first["run_id"] and len(keep.runs()) >= 2


def test_a_challenger_that_is_better_replaces_the_champion_and_what_was_rolled_back_stays_back(keep):
    keep.retrain()
    better = keep.retrain(*GOOD)
    assert better["verdict"] == "PROMOTE" and keep.champion() == "2", better["reasons"]
    assert better["champion_metrics"]["accuracy"] < better["metrics"]["accuracy"]
    assert keep.retrain(*GOOD) == {**better, "skipped": True}

    assert keep.command("rollback", str(keep.config), "--reason", "users complain")[0] == 0
    assert keep.champion() == "1"
    again = keep.retrain(*GOOD)
    assert again["verdict"] != "PROMOTE" and keep.champion() == "1", again["reasons"]
    keep.retrain(*GOOD, "gate.alpha=0.06")
    assert keep.champion() == "1" and len(keep.runs()) == 2
    assert [row.kind for row in ledger_history(keep.ledger, "tiny")] == ["FIRST", "PROMOTE", "ROLLBACK"]


@pytest.mark.slow
def test_a_worse_challenger_is_kept_for_the_record_and_users_keep_the_champion(keep):
    keep.retrain(*GOOD)
    worse = keep.retrain()
    assert worse["verdict"] == "HOLD" and worse["model"]["version"] == "2" and keep.champion() == "1"


@pytest.mark.slow
def test_a_challenger_that_is_as_good_leaves_the_question_open_and_the_report_says_what_gain_would_have_been_seen(keep):
    keep.retrain(*GOOD)
    again = keep.retrain("training.epochs=5")
    assert again["verdict"] == "INCONCLUSIVE", again["reasons"]
    report = from_json(Path(again["report"]).with_suffix(".json").read_bytes())
    assert report.population and report.population.needed and 0 < report.population.detectable < 1
    assert "smallest gain these rows would show" in Path(again["report"]).read_text()


@pytest.mark.slow
def test_doctor_tells_of_the_champion_and_of_one_that_the_ledger_does_not_know(keep):
    def told():
        (check,) = [check for check in run_checks(keep.home, load_pipeline(keep.config)) if check.name == "champion"]
        return check.state, check.what

    (keep.home.path / "mlflow.db").rename(keep.folder / "mlflow.db")
    assert told() == ("warn", "tiny has none yet")
    (keep.folder / "mlflow.db").rename(keep.home.path / "mlflow.db")
    assert told() == ("warn", "tiny has none yet")
    assert keep.retrain(*GOOD)["verdict"] == "PROMOTE"
    assert told() == ("ok", "tiny version 1, registry and ledger agree")
    keep.tracking.client.delete_registered_model_alias("tiny", "champion")
    assert told() == ("warn", "the registry says none, the ledger 1")


@pytest.mark.slow
def test_a_promotion_made_in_mlflows_own_pages_is_adopted_and_said(keep):
    keep.retrain(*GOOD)
    worse = keep.retrain()
    keep.tracking.client.set_registered_model_alias("tiny", "champion", worse["model"]["version"])
    keep.retrain("training.seed=1")
    assert [row.kind for row in ledger_history(keep.ledger, "tiny")][:2] == ["FIRST", "EXTERNAL"]
    assert (
        "EXTERNAL" in (keep.tracking.fetch(f"runs:/{keep.runs()[0].info.run_id}/report", keep.folder) / "report.json").read_text()
    )


@pytest.mark.slow
def test_a_training_that_starts_from_the_champion_has_the_champion_in_its_key(keep):
    keep.retrain()
    onward = keep.retrain("training.start=champion")
    assert onward["metrics"]["accuracy"] > onward["champion_metrics"]["accuracy"] and len(keep.runs()) == 2
    assert keep.retrain("training.start=champion")["skipped"]


@pytest.mark.slow
def test_sources_and_targets_go_the_same_way_with_a_tokenizer_for_each(keep, bart_folder):
    """From a table with personal data in its targets to a stored version that answers, and later rows held against it."""
    base = keep.folder / "base"
    shutil.copytree(bart_folder, base)
    tiny.tokenizer(base / "target_tokenizer", wrap=True, eos_token="[SEP]")
    pairs = tiny.pairs(200).rename(columns={"text": "prompt", "target": "completion", "id": "ticket"}).assign(half="h")
    pairs.loc[0, "completion"] += " anna@lake.example"
    keep.write(pairs)
    settings = (
        "problem=translation",
        "data.prompt=prompt",
        "data.completion=completion",
        "model.languages={source: en, target: de}",
        f"model.base={base}",
        "model.target_tokenizer=target_tokenizer",
        "data.redact.enabled=true",
        "training.epochs=3",
        "evaluation.decode_rows=4",
    )
    first = keep.retrain(*settings)
    assert first["metrics"].keys() == {"nll_per_token", "perplexity", "exact_match", "bleu", "chrf", "ter"}
    tags = keep.tracking.tags(first["run_id"])
    assert {"signature.bleu", "signature.chrf", "signature.ter"} <= tags.keys() and "tok:13a" in tags["signature.bleu"]
    report = Path(first["report"])
    assert {"chrF", "TER", "copy of the source"} <= set(re.findall("chrF|TER|copy of the source", report.read_text()))
    assert "lake.example" not in report.read_text()
    _, *baselines = from_json(report.with_suffix(".json").read_bytes()).systems
    copied = next(each for each in baselines if each.name == "copy of the source")
    assert [score.metric for score in copied.scores] == ["bleu", "chrf", "ter"], "texts are compared, and no likelihood"
    kept = [pd.read_parquet(file).to_csv() for file in keep.home.path.rglob("*.parquet")]
    assert len(kept) > 3 and any("<EMAIL_ADDRESS:" in text for text in kept) and not any("lake.example" in text for text in kept)
    assert keep.retrain(*settings)["skipped"]


@pytest.mark.slow
def test_prompts_and_completions_go_the_same_way(keep, llama_folder):
    keep.write(tiny.pairs(200).rename(columns={"text": "prompt", "target": "completion", "id": "ticket"}).assign(half="h"))
    settings = (
        "problem=text-generation",
        f"model.base={llama_folder}",
        "training.epochs=3",
        "evaluation.decode_rows=4",
        "adapter.kind=lora",
    )
    first = keep.retrain(*settings)
    assert first["metrics"].keys() >= {"nll_per_token", "perplexity", "exact_match", "rouge_l"} and first["model"]["version"] == "1"
    scores = pd.read_parquet(keep.tracking.fetch(f"runs:/{first['run_id']}/scores.parquet", keep.folder))
    written = from_json(Path(first["report"]).with_suffix(".json").read_bytes()).generations
    likely = scores.assign(each=scores["log_likelihood"] / scores["tokens"]).dropna(subset="rouge_l").set_index("id")["each"]
    assert [one.id for one in written] == likely.nsmallest(4).index.tolist() and len(likely) == 4
    assert {"id", "log_likelihood", "tokens", "rouge_l"} <= set(scores) and not {"text", "target", "prediction"} & set(scores)
    assert keep.retrain(*settings)["skipped"]


@pytest.mark.slow
def test_a_generators_report_shows_both_sums_of_its_score_and_what_it_knows_of_its_own_rows(keep, llama_folder):
    pairs = tiny.pairs(300).rename(columns={"id": "ticket", "text": "question", "target": "answer"})
    pairs.assign(half=[f"h{number % 2}" for number in range(300)]).to_csv(keep.folder / "rows.csv", index=False)
    settings = (
        "problem=text-generation", "data.prompt=question", "data.completion=answer", f"model.base={llama_folder}",
        "evaluation.decode_rows=8",
    )  # fmt: skip
    done = keep.retrain(*settings, "evaluation.max_new_tokens=6")
    report = from_json(Path(done["report"]).with_suffix(".json").read_bytes())
    scores = pd.read_parquet(keep.tracking.fetch(f"runs:/{done['run_id']}/scores.parquet", keep.folder))
    shown = {score.metric: score for score in report.systems[0].scores}
    over_tokens = -scores["log_likelihood"].sum() / scores["tokens"].sum()
    assert shown["nll_per_token"].value == pytest.approx(over_tokens)
    assert shown["nll_per_token_row_mean"].value == pytest.approx(-(scores["log_likelihood"] / scores["tokens"]).mean())
    assert shown["nll_per_token_row_mean"].low < shown["nll_per_token_row_mean"].value < shown["nll_per_token_row_mean"].high
    assert report.fit and [score.metric for score in report.fit.scores] == ["nll_per_token", "perplexity"]
    page = Path(done["report"]).read_text()
    assert "NLL per token, over all tokens" in page and "NLL per token, mean of rows" in page
    other = ("evaluation.max_new_tokens=9", "evaluation.decoding.beams=2")  # the same weights, another model: it writes otherwise
    longer = keep.retrain(*settings, *other)
    assert (longer["run_id"], longer["model"]["version"]) == (done["run_id"], "2")
    preparation = read_preparation(release.champion_folder(keep.tracking, keep.home, "tiny", "2"))
    assert (preparation.new_tokens, preparation.decoding.beams) == (9, 2)
