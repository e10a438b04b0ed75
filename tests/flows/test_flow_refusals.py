"""What cannot be: one clear error, the exit code that says whose fault it is, and nothing stored."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

from tasks import snapshots
from tasks.ledger.promotions import ledger_history
from tasks.ledger.retrain_history import requests_of
from tasks.tracking.client import Tracking

REMEDY = "mend the disk, then run the same command again; what was done is kept"


def write(keep, rows, **change):
    keep.write([{**row, **change} for row in rows])


@pytest.fixture
def nothing_stored(keep):
    """Whatever was refused left no snapshot, no run, no version, no row in the ledger."""
    yield keep
    assert not list(keep.home.path.glob("snapshots/*/manifest.json"))
    assert keep.runs() == [] and keep.versions() == set() and ledger_history(keep.ledger, "tiny") == ()


def test_the_history_of_a_model_that_was_never_trained_leaves_nothing_in_mlflow(keep):
    code, printed = keep.command("history", str(keep.config), "--json")
    assert code == 0 and "next: tunekeeper retrain" in keep.said
    assert Path(json.loads(printed)["page"]).is_file()
    assert keep.tracking.client.get_experiment_by_name("tiny") is None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epocs=3"], "training.epocs: unknown key; did you mean `epochs`?"),
        (["training.epochs=0", "gate.alpha=2"], "gate.alpha"),
        (["training.epochs=0", "gate.alpha=2"], "training.epochs = 0"),
        (["data.source=absent.csv"], "absent.csv"),
        (["data.text=words"], "words"),
        (["model.base=./absent"], "model.base ./absent: no such folder"),
        (["model.base=package:absent/model"], "no package `absent` is installed"),
        (["model.base=owner/absent"], "model.base owner/absent"),
        (["model.base=no name/absent"], "model.base no name/absent"),
        (["training.early_stopping=2", "data.split.validation=0"], "drop training.early_stopping"),
        (["problem=text-generation", "objective.class_weights=balanced"], "has no classes to weigh"),
        (["gate.window=30"], "set data.time, or drop gate.window"),
        ([f"model.sha256={'ab' * 32}"], "this is another model"),
        (["contract.suite=absent.json"], "contract.suite absent.json: no such file"),
        ([f"training.seed={2**32}"], "training.seed"),
        (["model.max_length=128"], "has positions for 64 tokens: set model.max_length=64 or less"),
        (["adapter.kind=lora", 'adapter.target_modules=["quary"]'], "adapter.target_modules: quary names no module"),
        (["problem=text-generation", "data.prompt=text", "data.completion=label"], "text-generation needs a causal decoder"),
    ],
)
def test_a_config_at_fault_is_told_by_its_key(nothing_stored, overrides, message):
    assert message in nothing_stored.refused(*overrides)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda base: [file.unlink() for file in base.glob("tokenizer*")], "holds no tokenizer.json"),
        (lambda base: (base / "config.json").write_text("{not json"), "config.json is no JSON"),
        (lambda base: (base / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        (lambda base: (base / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:-9]), "bytes where"),
        (lambda base: (base / "1_Pooling/config.json").write_text('{"pooling_mode": "weightedmean"}'), "pooling weightedmean"),
    ],
    ids=["no tokenizer", "bad config", "pointer", "truncated", "unknown pooling"],
)
def test_a_base_that_cannot_work_is_told_before_anything_is_prepared_and_by_doctor(nothing_stored, bert_folder, break_it, message):
    base = shutil.copytree(bert_folder, nothing_stored.folder / "base")
    break_it(base)
    assert message in nothing_stored.refused(f"model.base={base}")
    assert not (nothing_stored.home.path / "docs").exists(), "the data were not looked at"
    code, printed = nothing_stored.command("doctor", str(nothing_stored.config), f"model.base={base}", "--json")
    faults = [check for check in json.loads(printed)["checks"] if check["state"] == "fail"]
    assert code == 1 and [check["name"] for check in faults] == ["base"] and message in faults[0]["what"]


def test_a_config_that_is_not_there_is_told_by_its_name(keep):
    keep.config.unlink()
    assert "keep.yaml" in keep.refused()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "rows.csv"),
        (b"ticket,text,label\n", "rows.csv"),
        ("ticket,text,label,half\n1,caf\xe9,a,h\n".encode("latin-1"), "UTF-8"),
        (pd.DataFrame(tiny.rows(20)).to_csv(index=False).replace("text", "texts", 1).encode(), "text"),
    ],
    ids=["empty file", "no rows", "wrong encoding", "missing column"],
)
def test_a_file_at_fault_is_told_by_its_name(nothing_stored, content, message):
    (nothing_stored.folder / "rows.csv").write_bytes(content)
    assert message in nothing_stored.refused()


def test_a_truncated_parquet_is_told_by_its_name(nothing_stored):
    file = nothing_stored.folder / "rows.parquet"
    pd.DataFrame(tiny.rows(50)).to_parquet(file)
    file.write_bytes(file.read_bytes()[:-200])
    assert "rows.parquet" in nothing_stored.refused(f"data.source={file}")


def test_one_class_alone_is_nothing_to_tell_apart(nothing_stored):
    write(nothing_stored, tiny.rows(60), label="the same")
    assert "at least two labels" in nothing_stored.refused()


def test_a_label_of_test_that_training_never_saw_is_named(keep):
    keep.write(tiny.rows(60))
    keep.write([{**row, "label": "unheard of"} for row in tiny.rows(10, seed=5, start=500)], "test.csv")
    said = keep.refused("data.split.by=given", f"data.test={keep.folder}/test.csv")
    assert "unheard of" in said
    assert keep.versions() == set() and ledger_history(keep.ledger, "tiny") == ()


def test_rows_that_are_all_quarantined_leave_nothing_to_learn_from(nothing_stored):
    write(nothing_stored, tiny.rows(60), text="n/a")
    assert "break their contract" in nothing_stored.refused("contract.max_quarantined=1")


def test_more_quarantine_than_the_contract_bears_stops_the_run(nothing_stored):
    rows = tiny.rows(60)
    nothing_stored.write([{**row, "text": "" if place % 5 == 0 else row["text"]} for place, row in enumerate(rows)])
    said = nothing_stored.refused()
    (file,) = nothing_stored.home.path.glob("docs/*/raw-quarantine.csv")
    told = pd.read_csv(file)
    assert "break their contract" in said and str(file) in said
    assert told["row"].tolist() == [row["ticket"] for row in rows[::5]] and told["reason"].str.len().min() > 0
    assert "**no**" in nothing_stored.artifacts()["contract"]


def test_a_text_of_a_hundred_megabytes_is_an_error_of_the_data(nothing_stored):
    with (nothing_stored.folder / "rows.csv").open("a") as file:
        file.write("t99999," + "kan " * 25_000_000 + ",red first,h0\n")
    assert "max_characters" in nothing_stored.refused()


def test_a_loss_that_is_no_number_stops_the_run_with_its_step_and_registers_nothing(keep):
    message = keep.refused("training.learning_rate=1e30", "training.max_grad_norm=1e30", "training.warmup=0", code=1)
    assert "training went wrong twice (step" in message and "learning rate 1e+30: the loss is nan" in message
    assert keep.versions() == set() and keep.champion() is None and [run.info.status for run in keep.runs()] == ["FAILED"]
    assert not list(keep.home.path.glob("runs/*/trained"))


# --- the world's faults -------------------------------------------------------------------------------------------------


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_home_that_cannot_be_made_is_the_worlds_fault(keep, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(keep.config / "home"))
    assert "set TUNEKEEPER_HOME to a folder" in keep.refused(code=1)


@pytest.fixture
def read_only(tmp_path):
    folder = tmp_path / "read only"
    folder.mkdir()
    if os.getuid():
        folder.chmod(0o555)
    elif subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("root can write everywhere, and may not mount here")
    yield folder
    if not os.getuid():
        subprocess.run(["umount", str(folder)], check=True)


def test_a_home_that_cannot_be_written_is_the_worlds_fault(keep, monkeypatch, read_only):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(read_only))
    assert "cannot be written" in keep.refused(code=1)


def test_an_mlflow_that_does_not_answer_is_asked_a_few_times_and_then_named(keep, monkeypatch):
    pauses = []
    monkeypatch.setattr(Tracking.__init__, "__defaults__", (pauses.append,))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address := f"http://127.0.0.1:{closed_port()}")
    said = keep.refused(code=1)
    assert address in said and "run again" in said and pauses == [1, 2, 4]


def test_a_ledger_that_does_not_answer_is_named_without_its_password(keep, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_LEDGER_URL", f"postgresql+psycopg2://me:secret@127.0.0.1:{closed_port()}/ledger")
    said = keep.refused(code=1)
    assert "ledger" in said and "secret" not in said


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://me:Zqsecret1@h/d/t",
        "postgres+psycopg2://me:Zqsecret1@h/d/t",
        "POSTGRESQL+psycopg2://h/d/t?Password=Zqsecret1",
    ],
)
def test_a_credential_in_a_config_or_a_command_is_refused_before_prefect_hears_of_it(nothing_stored, source):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        before = {run.id for run in client.read_flow_runs()}
        settings = json.loads(nothing_stored.config.read_text())
        nothing_stored.config.write_text(json.dumps({**settings, "data": {**settings["data"], "source": source}}))
        said = nothing_stored.refused()
        assert "data.source" in said and "PGPASSWORD" in said and "PGSERVICE" in said and "Zqsecret1" not in said
        nothing_stored.config.write_text(json.dumps(settings))
        for words in (
            ["retrain", f"data.source={source}"], ["score", f"--input={source}", "--output=a.parquet"],
            ["promote", "--version=1", f"--reason=from {source}"],
        ):  # fmt: skip
            code, printed = nothing_stored.command(words[0], str(nothing_stored.config), *words[1:])
            assert code == 2 and "leave it out" in nothing_stored.said and "Zqsecret1" not in nothing_stored.said + printed
        assert {run.id for run in client.read_flow_runs()} == before


def test_what_a_library_says_of_an_address_reaches_no_state_log_ledger_or_terminal_with_its_password(keep, monkeypatch):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import LogSort

    def away(*_):
        raise ValueError("no route to postgresql://me:Zqsecret1@h/d")

    monkeypatch.setattr(snapshots, "known_snapshot", away)
    said = keep.refused(code=1)
    assert "postgresql://***@h/d" in said
    assert keep.command("retrain", str(keep.config), "--debug")[0] == 1 and "Traceback" in keep.said
    assert "Zqsecret1" not in said + keep.said
    (asked, *_) = requests_of(keep.ledger, "tiny")
    assert asked.state == "failed" and "postgresql://***@h/d" in asked.payload["reason"]
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.state and "h/d" in (run.state.message or "")]
        assert runs and not any("Zqsecret1" in str(run.state.message) for run in runs)
        deadline = time.monotonic() + 20
        while not (logs := client.read_logs(sort=LogSort.TIMESTAMP_DESC, limit=50)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert logs and not any("Zqsecret1" in log.message for log in logs)


@pytest.mark.slow
def test_out_of_memory_even_in_small_pieces_nothing_is_registered_and_with_more_memory_it_goes_on(keep, monkeypatch):
    import torch
    from transformers import Trainer

    def too_much(self, model, inputs, *_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as small_machine:
        small_machine.setattr(Trainer, "training_step", too_much)
        said = keep.refused("training.epochs=4", code=1)
    assert "out of memory" in said and "lower model.max_length" in said
    assert keep.versions() == set() and [run.info.status for run in keep.runs()] == ["FAILED"]
    assert keep.retrain("training.epochs=4")["verdict"] == "PROMOTE" and keep.champion() == "1"


def test_only_debug_shows_a_traceback(keep):
    keep.refused("data.source=absent.csv")
    assert keep.command("retrain", str(keep.config), "data.source=absent.csv", "--debug")[0] == 2
    assert "Traceback" in keep.said


def test_help_comes_at_once_and_imports_nothing_heavy():
    heavy = "import sys; from flows.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    check = "print({'torch', 'mlflow', 'prefect', 'pandas'} & sys.modules.keys(), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", heavy + check], capture_output=True, text=True, check=True)
    assert "retrain" in done.stdout and done.stderr.strip() == "set()"


def test_a_full_disk_is_named_with_its_remedy_whatever_library_met_it(keep, monkeypatch):
    def full(_):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("a library's own words") from error

    monkeypatch.setattr("flows.__main__._schema", full)
    code, printed = keep.command("schema")
    assert code == 1 and printed == ""
    assert keep.said == f"error: {keep.home.path}: No space left on device: {REMEDY}\n"


def test_what_this_user_may_not_write_is_named_with_its_remedy(keep, monkeypatch):
    def refused(_):
        raise PermissionError(errno.EACCES, "Permission denied", "/there/scores")

    monkeypatch.setattr("flows.__main__._schema", refused)
    assert keep.command("schema")[0] == 1
    assert keep.said.startswith("error: /there/scores: Permission denied: make it this user's to read and write")
