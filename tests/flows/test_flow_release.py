"""A version leaves this machine whole: proved in a fresh process, loaded where nothing but the registry is known."""

import getpass
import json
import shutil

import pandas as pd
import pytest
import tiny

from tasks import release
from tasks.common.files import _write_manifest
from tasks.learning.network import TRAINABLE
from tasks.ledger import approvals
from tasks.ledger.promotions import ledger_history
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

GOOD = ("training.epochs=4",)
TEXTS = [row["text"] for row in tiny.rows(20, seed=8)]


@pytest.fixture
def really_reload(monkeypatch, keep):
    monkeypatch.setattr(release, "Reload", keep.Reload)


@pytest.mark.slow
def test_a_fresh_process_without_network_answers_the_same_and_a_second_machine_does_too(
    keep, really_reload, bert_folder, monkeypatch, tmp_path
):
    import mlflow

    base = shutil.copytree(bert_folder, tmp_path / "base")
    done = keep.retrain(*GOOD, "data.redact.enabled=true", f"model.base={base}")
    assert done["model"]["version"] == "1"
    answers = mlflow.pyfunc.load_model("models:/tiny@champion").predict(pd.DataFrame({"text": TEXTS}))
    assert (answers["label"] == [row["label"] for row in tiny.rows(20, seed=8)]).mean() > 0.9

    shutil.rmtree(base)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "second machine"))
    fetched = []
    download = mlflow.artifacts.download_artifacts
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **given: fetched.append(given) or download(**given))
    for _ in range(2):
        elsewhere = mlflow.pyfunc.load_model("models:/tiny@champion").predict(pd.DataFrame({"text": TEXTS}))
        assert elsewhere.equals(answers)
    assert sum("/base" in given.get("artifact_uri", "") for given in fetched) == 1  # the base comes once a machine


def test_a_model_that_is_stored_wrong_is_registered_nowhere(keep, monkeypatch):
    """What MLflow's own flavour did to LoRA models: the stored weights are not those that were trained."""
    from safetensors.torch import load_file, save_file

    log_model = Tracking.log_model

    def corrupting(self, run_id, folder, code, example, signature_of, variant):
        wrong = shutil.copytree(folder, keep.folder / "wrong")
        held = load_file(wrong / TRAINABLE)
        save_file({name: value.new_zeros(value.shape) for name, value in held.items()}, wrong / TRAINABLE)
        (wrong / "manifest.json").unlink()
        _write_manifest(wrong)  # hashes that fit: only the answers can tell
        return log_model(self, run_id, wrong, code, example, signature_of, variant)

    monkeypatch.setattr(Tracking, "log_model", corrupting)
    said = keep.refused(*GOOD, code=1)
    assert "does not answer as the trained model did" in said
    assert keep.versions() == set() and keep.champion() is None


def test_a_champion_whose_download_was_cut_short_is_fetched_again(keep):
    keep.retrain(*GOOD)
    folder = release.champion_folder(keep.tracking, keep.home, "tiny", "1")
    assert release.champion_folder(keep.tracking, keep.home, "tiny", "1") == folder
    (folder / TRAINABLE).unlink()
    assert (release.champion_folder(keep.tracking, keep.home, "tiny", "1") / TRAINABLE).is_file()


def test_hand_commands_promote_with_a_reason_roll_back_and_tell(keep, server, monkeypatch):
    keep.retrain(*GOOD)
    worse = keep.retrain()
    assert worse["verdict"] == "HOLD"
    config = str(keep.config)
    assert keep.command("promote", config, "--version", "2")[0] == 2 and "reason" in keep.said
    assert keep.command("promote", config, "--version", "9", "--reason", "x")[0] == 2 and "has no version 9" in keep.said
    monkeypatch.setenv("PREFECT_API_URL", server)
    assert keep.command("promote", config, "--version", "2", "--reason", "a person knows better")[0] == 0
    assert keep.champion() == "2" and keep.links({("tiny/champion", "tiny/version/2")})
    assert keep.command("rollback", config)[0] == 0 and keep.champion() == "1"
    assert keep.command("rollback", config)[0] == 2 and keep.champion() == "1"
    code, printed = keep.command("history", config, "--json")
    told = json.loads(printed)["history"]
    assert code == 0 and [row["kind"] for row in told] == ["FIRST", "PROMOTE", "ROLLBACK"]
    assert told[1]["reason"] == "a person knows better"
    Registry(keep.tracking, "champion").set_champion("tiny", "2")  # as in MLflow's own pages
    assert keep.command("promote", config, "--version", "1")[0] == 2
    assert "1 was compared with champion none, but the champion is version 2 now" in keep.said


@pytest.mark.slow
def test_a_waiting_version_is_promoted_as_its_decision_says_and_otherwise_only_for_a_reason(keep, monkeypatch):
    config, manual = str(keep.config), (*GOOD, "release.approval=manual", "gate.looks_per_year=4")
    first, second = keep.retrain(*manual), keep.retrain(*manual, "training.seed=1")
    assert (first["verdict"], second["verdict"]) == ("PROMOTE", "PROMOTE") and keep.champion() is None
    assert keep.command("promote", config, "--version", "1")[0] == 2 and "a later challenger took its place" in keep.said

    monkeypatch.setattr(getpass, "getuser", lambda: "tunekeeper")  # as in a container
    assert keep.command("promote", config, "--version", "2")[0] == 2 and "add --who and your name" in keep.said
    assert keep.command("promote", config, "--version", "2", "--who", "Ada", "--reason", "as it says")[0] == 0
    assert keep.command("promote", config, "--version", "2", "--who", "Ada")[0] == 2 and "is the champion already" in keep.said
    assert keep.command("promote", config, "--version", "1", "--who", "Bea", "--reason", "it is smaller")[0] == 0
    told = [(row.to_version, row.who, row.reason, row.forced) for row in ledger_history(keep.ledger, "tiny")]
    assert told == [("2", "Ada", "as it says", False), ("1", "Bea", "it is smaller", True)]
    assert keep.tracking.version_tags("tiny", "2")["approval_by"] == "Ada"


@pytest.mark.slow
def test_what_a_person_rejected_is_promoted_only_for_a_reason(keep):
    keep.retrain(*GOOD, "release.approval=manual")
    asked = approvals.find_approval(keep.ledger, "tiny", keep.tracking.version_tags("tiny", "1")["decision_key"])
    approvals.answer_approval(keep.ledger, Registry(keep.tracking, "champion"), asked, False, "Ada", "too slow")
    assert keep.command("promote", str(keep.config), "--version", "1")[0] == 2 and "was rejected by Ada: too slow" in keep.said
    assert keep.command("promote", str(keep.config), "--version", "1", "--reason", "fast enough now")[0] == 0
    (row,) = ledger_history(keep.ledger, "tiny")
    assert row.forced and row.reason == "fast enough now"
