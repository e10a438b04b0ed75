"""A home that an earlier version made, in another place, opens and goes on; and its champion's files are looked at."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import InfraError, InputError
from configs.load import load_pipeline
from flows.cli import serve
from tasks.health import champion_files as health_model
from tasks.health import servers
from tasks.health.champion_files import champion_files, home_paths
from tasks.ledger.promotions import ledger_history
from tasks.release import champion_files as champion_files_here
from tasks.release import champion_folder
from tasks.tracking import stored_model
from tasks.tracking.client import Tracking
from tasks.tracking.moved_home import COLUMNS, settle_places


def places(home) -> list[str]:
    """Every place of an artifact that MLflow's database names, save that of its own experiment, which holds nothing."""
    with closing(sqlite3.connect(home.path / "mlflow.db")) as database:
        columns = [(table, column) for table, names in COLUMNS.items() for column in names]
        found = [row[0] for table, column in columns for row in database.execute(f"select {column} from {table}")]
    return [place for place in found if place and not place.endswith("/mlruns/0") and not place.startswith("models:/")]


def test_a_home_of_an_earlier_version_goes_on_where_it_lies_now_and_says_so_once(earlier):
    before = places(earlier.home)
    assert before and not any(str(earlier.folder) in place for place in before)
    code, printed = earlier.command("history", "keep.yaml", "--json")
    assert code == 0 and "this home was in /" in earlier.said
    assert json.loads(printed)["champion"] == "1"
    after = places(earlier.home)
    assert len(after) >= len(before) and all(
        Path(place.removeprefix("file://")).is_relative_to(earlier.home.path) for place in after
    )
    code, printed = earlier.command("score", "keep.yaml", "--input", "rows.csv", "--output", "scored.parquet", "--json")
    assert code == 0 and json.loads(printed)["version"] == "1" and "this home was in" not in earlier.said
    code, printed = earlier.command("retrain", "keep.yaml", "--json")
    assert code == 0, earlier.said
    done = json.loads(printed)
    assert done["champion_metrics"] and done["verdict"] in ("HOLD", "INCONCLUSIVE") and earlier.champion() == "1"
    assert Path(done["report"]).is_file() and Path(done["report"]).is_relative_to(earlier.home.path)


@pytest.mark.parametrize("empty", [True, False])
def test_a_home_whose_ledger_was_lost_begins_another_by_a_word_alone(earlier, monkeypatch, empty):
    ledger = earlier.home.path / "ledger.db"
    ledger.write_bytes(b"") if empty else ledger.unlink()
    for words in (["history"], ["retrain"], ["rollback", "--reason", "none"]):
        code, _ = earlier.command(words[0], "keep.yaml", *words[1:])
        assert code == 1 and "is gone, though mlflow.db beside it lists" in earlier.said
        assert not ledger.exists() or not ledger.stat().st_size
    monkeypatch.setenv("TUNEKEEPER_LEDGER_URL", f"sqlite:///{ledger}")
    assert earlier.command("history", "keep.yaml")[0] == 0 and ledger.stat().st_size


def test_doctor_says_that_a_home_was_moved_sees_the_champions_files_and_writes_nothing(earlier):
    database = (earlier.home.path / "mlflow.db").read_bytes()
    code, printed = earlier.command("doctor", "keep.yaml", "--json")
    found = {check["name"]: check for check in json.loads(printed)["checks"]}
    assert code == 0, earlier.said
    assert found["paths"]["state"] == "warn" and "was moved or copied" in found["paths"]["what"]
    assert found["champion"]["state"] == found["champion files"]["state"] == "ok"
    assert str(earlier.home.path) in found["champion files"]["what"]
    assert "checkpoint" not in found["strays"]["what"]  # other tests may have left runs in Prefect, and they are no matter
    assert "checkpoints of a finished training" in found["room"]["what"] and found["room"]["state"] == "ok"
    assert (earlier.home.path / "mlflow.db").read_bytes() == database


@pytest.fixture
def champion(earlier):
    """The folder of the champion's files in the store, and what doctor says of them."""
    settle_places(earlier.home)
    tracking = Tracking(earlier.home)

    def look():
        return [check for check in champion_files(tracking, earlier.home, "tiny", "1") if check.state == "fail"]

    assert list(home_paths(earlier.home)) == [] and look() == []
    return tracking, stored_model.place_of(tracking, earlier.home, "tiny", "1"), look


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_flipped_byte_of_the_champion_is_named_with_both_hashes_and_nothing_is_advised_that_loses_it(earlier, champion):
    tracking, place, look = champion
    wanted = json.loads((place / "artifacts" / "kept" / "manifest.json").read_text())["trainable.safetensors"]
    flip(place / "artifacts" / "kept" / "trainable.safetensors")
    (fault,) = look()
    assert "trainable.safetensors is damaged: its sha256 is " in fault.what and f"stored with {wanted}" in fault.what
    whole = stored_model.cached_folder(earlier.home, "tiny", "1")
    assert f"from {whole}, which is whole" in fault.remedy  # this machine has fetched it before
    assert champion_folder(tracking, earlier.home, "tiny", "1") == whole / "artifacts" / "kept"
    flip(whole / "artifacts" / "kept" / "network.json")
    (fault,) = look()
    assert "restore it from a copy" in fault.remedy and "may be the only copy" in fault.remedy
    with pytest.raises(InfraError, match=rf"version 1, in .*trainable.safetensors is damaged: .*{wanted}.*rollback CONFIG"):
        champion_folder(tracking, earlier.home, "tiny", "1")
    assert (whole / "artifacts" / "kept" / "trainable.safetensors").is_file()  # what is left here stays


@pytest.mark.parametrize("lost", ["", "MLmodel", "artifacts/kept/network.json"])
def test_a_folder_or_file_of_the_champion_that_is_gone_is_named(earlier, champion, lost):
    tracking, place, look = champion
    (place / lost).rename(earlier.folder / "lost")
    (fault,) = look()
    assert str(place) in fault.what and "gone" in fault.what and (lost or place.name).rpartition("/")[2] in fault.what
    stored_model.cached_folder(earlier.home, "tiny", "1").rename(earlier.folder / "cached")
    with pytest.raises(InfraError, match=r"gone.*Keep what is there"):
        champion_folder(tracking, earlier.home, "tiny", "1")


def test_a_damaged_base_of_the_champion_is_named_by_its_digests(earlier, champion):
    (stored,) = (earlier.home.artifacts / "tunekeeper-bases").glob("*/artifacts/base/model.safetensors")
    flip(stored)
    tracking, _, look = champion
    (fault,) = look()
    assert "digest of its files is" in fault.what and "copy the files of base, which is whole" in fault.remedy
    (earlier.folder / "base").rename(earlier.folder / "no longer there")
    (fault,) = look()
    assert "restore it from a copy" in fault.remedy
    with pytest.raises(InputError, match=r"has digest .*, the model was trained on .*restore the stored one"):
        champion_files_here(tracking, earlier.home, "tiny", "1")
    stored.parent.rename(earlier.folder / "lost")
    with pytest.raises(InfraError, match=r"the base base is gone from .*restore that folder"):
        champion_files_here(tracking, earlier.home, "tiny", "1")


def test_in_a_store_that_is_no_folder_here_the_list_of_files_is_compared(earlier, champion, monkeypatch):
    _, place, look = champion
    monkeypatch.setattr(health_model, "place_of", lambda *_: None)
    assert look() == []
    (place / "artifacts" / "kept" / "network.json").rename(earlier.folder / "lost")
    (fault,) = look()
    assert "artifacts/kept/network.json is gone" in fault.what and "may be the only copy" in fault.remedy
    (place / "artifacts" / "kept" / "manifest.json").rename(earlier.folder / "lost")
    (fault,) = look()
    assert "manifest.json" in fault.what and "may be the only copy" in fault.remedy


def test_another_mlflow_than_the_ledgers_is_asked_about_and_nothing_is_recorded(earlier, monkeypatch, empty_database):
    before = ledger_history(earlier.ledger, "tiny")
    another = shutil.copy(empty_database, earlier.folder / "another.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{another}")
    code, printed = earlier.command("history", "keep.yaml")
    assert (code, printed) == (1, "") and "is this the right MLflow? Check MLFLOW_TRACKING_URI" in earlier.said
    with pytest.raises(InfraError, match="is this the right MLflow"):  # what a service says instead of missing a champion
        serve.follower_ways(load_pipeline(earlier.folder / "keep.yaml"), earlier.home).look()
    assert ledger_history(earlier.ledger, "tiny") == before


def test_an_mlflow_database_that_is_gone_is_missed_and_nothing_is_recorded(earlier):
    (earlier.home.path / "mlflow.db").rename(earlier.folder / "lost.db")
    code, _ = earlier.command("history", "keep.yaml")
    assert code == 1 and "mlflow.db is gone, though" in earlier.said and not (earlier.home.path / "mlflow.db").exists()
    assert [row.kind for row in ledger_history(earlier.ledger, "tiny")] == ["FIRST"]
    (fault,) = [check for check in servers.check_mlflow(earlier.home) if check.state == "fail"]
    assert "is gone, though" in fault.what and "restore it from a copy" in fault.remedy
