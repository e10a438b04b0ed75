"""Where state lives, and what is said to every library before it is imported."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import InfraError, InputError
from tasks.common.home import ENVIRONMENT, SPIN_COUNT, THREAD_SETTINGS, Home, find_home, settle_environment


def test_state_lives_where_the_environment_says_else_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "there" / "deep"))
    assert find_home().path == tmp_path / "there" / "deep" and find_home().path.is_dir()
    monkeypatch.delenv("TUNEKEEPER_HOME")
    monkeypatch.chdir(tmp_path)
    assert find_home().path == tmp_path / ".tunekeeper"


def test_addresses_are_local_until_they_are_given(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "TUNEKEEPER_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    assert Home(tmp_path).tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert Home(tmp_path).ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("TUNEKEEPER_LEDGER_URL", "postgresql+psycopg2://db/ledger")
    assert (Home(tmp_path).tracking_uri, Home(tmp_path).ledger_url) == ("http://mlflow:5000", "postgresql+psycopg2://db/ledger")


def test_a_home_below_a_file_is_the_worlds_fault(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InfraError, match=r"cannot make .*set TUNEKEEPER_HOME"):
        find_home()


def test_a_home_below_that_of_a_user_who_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", "~nobody-of-that-name/home")
    with pytest.raises(InfraError, match=r"TUNEKEEPER_HOME=~nobody-of-that-name/home: .*: write the path out"):
        find_home()


@pytest.mark.parametrize(("name", "fault"), [("why?not", "a question mark"), ("my%20home", "`%20`")])
def test_a_home_whose_path_means_another_in_an_address_is_refused_and_nothing_is_made(tmp_path, monkeypatch, name, fault):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / name))
    with pytest.raises(InputError, match=f"{re.escape(name)} has {re.escape(fault)} .*set TUNEKEEPER_HOME"):
        find_home()
    assert list(tmp_path.iterdir()) == []


def test_a_home_of_other_uncommon_characters_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "50% off; it's #1"))
    assert find_home().path.is_dir()


def test_libraries_are_told_to_be_quiet_and_private_but_not_over_the_users_head(tmp_path, monkeypatch):
    for name in (*ENVIRONMENT, "PREFECT_HOME", "TUNEKEEPER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    settle_environment(Home(tmp_path))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false" and os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert Path(os.environ["PREFECT_HOME"]) == tmp_path / "prefect" and os.environ["TUNEKEEPER_HOME"] == str(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "5"), ("OMP_WAIT_POLICY", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_has_chosen_how_they_wait(name, value, tmp_path, monkeypatch):
    for setting in THREAD_SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    settle_environment(Home(tmp_path))
    assert {setting: os.environ.get(setting) for setting in THREAD_SETTINGS} == {**SPIN_COUNT, "OMP_WAIT_POLICY": None}
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv(name, value)
    settle_environment(Home(tmp_path))
    assert {setting for setting in THREAD_SETTINGS if setting in os.environ} == {name} and os.environ[name] == value


def test_a_recorded_command_names_the_home_that_it_is_shown_in_and_can_be_pasted_into_a_shell(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before, after = Home(tmp_path / "first home"), Home(tmp_path / "it's another")
    command = "mlflow models serve -m models:/tiny@champion"
    shown = after.at_this_home(before.mlflow_variable + command)
    assert shlex.split(shown) == [f"MLFLOW_TRACKING_URI={after.tracking_uri}", *shlex.split(command)]
    assert after.at_this_home("tunekeeper history CONFIG") == "tunekeeper history CONFIG"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert after.at_this_home(shown) == command


@pytest.mark.parametrize(
    ("exceptions", "after"), [("", "127.0.0.1,localhost,::1"), ("lan,localhost", "lan,localhost,127.0.0.1,::1"), ("*", "*")]
)
def test_a_proxy_is_never_asked_for_the_servers_of_this_machine(exceptions, after, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"http_proxy": "http://proxy:1", "no_proxy": exceptions})
    settle_environment(Home(tmp_path))
    assert os.environ["no_proxy"] == after and os.environ.get("NO_PROXY", "*") == after


def test_an_error_that_nobody_caught_is_shown_without_its_credentials_wherever_it_was(tmp_path):
    code = """
import sys, threading
from pathlib import Path
from tasks.common.home import Home, settle_environment

class Left:
    def __del__(self):
        fail("a leftover")

def fail(where):
    raise OSError(f"{where}: postgresql://me:" + "hidden" + "@host/db")

settle_environment(Home(Path(sys.argv[1])))
for target, args in ((fail, ("a thread",)), (sys.exit, ("in silence",))):
    thread = threading.Thread(target=target, args=args)
    thread.start()
    thread.join()
Left()
fail("the end")
"""
    shown = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False).stderr
    assert all(f"OSError: {where}: postgresql://***@host/db" in shown for where in ("a thread", "a leftover", "the end"))
    assert "me:hidden" not in shown and "in silence" not in shown
