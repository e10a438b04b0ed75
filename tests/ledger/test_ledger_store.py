import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_child import WON, FileRegistry, promoted

from configs.errors import InfraError, InputError
from tasks.ledger import store
from tasks.ledger.promotions import Ledger, PromotionRequest, ledger_history, promote, replayed_champion


@pytest.fixture
def model():
    return f"helpdesk-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry(tmp_path):
    return FileRegistry(tmp_path / "registry").add("1", "2", "3")


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "no url"])
def test_a_ledger_url_that_cannot_be_one_is_refused_without_its_password(url):
    with pytest.raises(InputError, match="TUNEKEEPER_LEDGER_URL") as caught:
        Ledger(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_tried_a_bounded_number_of_times(model):
    pytest.importorskip("psycopg2", reason="psycopg2-binary is not installed")
    slept = []
    ledger = Ledger("postgresql+psycopg2://u:secret@127.0.0.1:9/d?application_name=secret", sleep=slept.append)
    with pytest.raises(InfraError, match=r"postgresql\+psycopg2://\*\*\*@127.0.0.1:9/d does not answer after 5 attempts") as caught:
        ledger_history(ledger, model)
    assert "secret" not in str(caught.value) and "run the same command again" in str(caught.value)
    assert slept == pytest.approx([0.2, 0.4, 0.8, 1.6])


def test_a_ledger_that_stays_locked_is_an_infra_error_and_a_brief_lock_is_waited_out(tmp_path, model, monkeypatch, registry):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.02)
    path = tmp_path / "ledger.db"
    promoted(Ledger(f"sqlite:///{path}"), registry, model, "1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InfraError, match=r"does not answer after 3 attempts \(database is locked\)"):
        promoted(Ledger(f"sqlite:///{path}", sleep=lambda _: None, attempts=3), registry, model, "2")
    assert registry.champion(model) == "1"
    promoted(Ledger(f"sqlite:///{path}", sleep=lambda _: other.rollback()), registry, model, "2")
    other.close()
    assert registry.champion(model) == "2"


def test_a_full_disk_stops_a_promotion_and_loses_nothing(tmp_path, model, registry):
    url = f"sqlite:///{tmp_path}/ledger.db"
    promoted(Ledger(url), registry, model, "1")
    full = Ledger(url)
    sa.event.listen(full._engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=1"))
    with pytest.raises(InfraError, match="the disk is full: free some space"):
        promote(full, registry, model, PromotionRequest("2", expected="1", evidence=WON, who="x", reason="long" * 5000))
    assert (registry.champion(model), replayed_champion(Ledger(url), model)) == ("1", "1")
    promoted(Ledger(url), registry, model, "2")
    assert replayed_champion(Ledger(url), model) == "2"


@pytest.mark.parametrize("content", [b"this is no database, and it is long enough to be read as a header, or so one hopes" * 20])
def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path, content, model):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(InfraError, match="no SQLite database"):
        ledger_history(Ledger(f"sqlite:///{path}"), model)
    assert path.read_bytes() == content


def test_a_ledger_of_a_newer_tunekeeper_is_refused(tmp_path, model):
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger_history(Ledger(url), model)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE ledger_schema SET version = 99")
    with pytest.raises(InfraError, match="has schema 99"):
        ledger_history(Ledger(url), model)


def test_a_folder_that_cannot_be_made_is_an_infra_error(tmp_path, model):
    (tmp_path / "file").touch()
    with pytest.raises(InfraError, match="cannot be made"):
        ledger_history(Ledger(f"sqlite:///{tmp_path}/file/ledger.db"), model)


ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from configs.errors import InfraError
from ledger_child import FileRegistry, WON
from tasks.ledger.promotions import Ledger, PromotionRequest, promote, replayed_champion
home = Path(sys.argv[1])
disk = home / "disk"
disk.mkdir()
mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
if mount.returncode:
    sys.exit(77)
registry = FileRegistry(home / "registry").add("1", "2", "3")

def attempt(to, expected, reason=""):
    promote(Ledger(f"sqlite:///{disk}/ledger.db"), registry, "m", PromotionRequest(to, expected, WON, "x", reason))

attempt("1", None)
filler = disk / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
try:
    attempt("2", "1", "long" * 50_000)
    sys.exit("a full disk went unseen")
except InfraError as error:
    print(error)
filler.unlink()
attempt("2", "1")
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
try:
    attempt("3", "2")
    sys.exit("a read-only disk went unseen")
except InfraError as error:
    print(error)
subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
assert registry.champion("m") == replayed_champion(Ledger(f"sqlite:///{disk}/ledger.db"), "m") == "2"
"""


def test_a_disk_that_is_really_full_then_read_only_loses_nothing(tmp_path):
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root and unshare")
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = ["unshare", "-m", sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let a small disk be mounted")
    assert done.returncode == 0, done.stderr
    full, read_only = done.stdout.splitlines()
    assert "disk" in full and "free" in full and "Nothing written to it is lost" in full
    assert "Read-only file system" in read_only
