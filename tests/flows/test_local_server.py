"""The Prefect server that Tunekeeper keeps: one per home, each at a port of its own."""

from __future__ import annotations

import socket
import subprocess
import threading

import pytest
from httpx import HTTPStatusError, ReadTimeout, Request, Response
from prefect.settings import PREFECT_API_URL

from configs.errors import InfraError
from flows.local import prefect_address, server
from flows.local.server import _listen, is_alive, prefect_if_up, prefect_server, used_by_others
from tasks.common.home import Home
from tasks.common.http import HttpAnswer


def test_of_two_that_want_one_port_the_second_takes_another_or_says_that_it_cannot() -> None:
    with _listen([0]) as first:
        wanted = first.getsockname()[1]
        with _listen([wanted, 0]) as second:
            assert second.getsockname()[1] != wanted
        with pytest.raises(InfraError, match=f"{wanted}.*is free"):
            _listen([wanted])
    with _listen([wanted, 0]) as again:
        assert again.getsockname()[1] == wanted


def test_a_server_that_runs_can_be_told_something_and_none_is_started_for_that(tmp_path, monkeypatch):
    home = Home(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before = PREFECT_API_URL.value()
    with prefect_if_up(home) as up:
        assert not up and PREFECT_API_URL.value() == before
    assert not is_alive(home)
    monkeypatch.setattr(server, "server_address", lambda _: "http://127.0.0.1:1/api")
    with prefect_if_up(home) as up:
        assert up and PREFECT_API_URL.value() == "http://127.0.0.1:1/api" and used_by_others(home)
    assert PREFECT_API_URL.value() == before
    monkeypatch.setenv("PREFECT_API_URL", "http://named/api")
    with prefect_if_up(home) as up:
        assert up and PREFECT_API_URL.value() == "http://named/api"


@pytest.mark.parametrize("address", ["http://me:Zqsecret1@127.0.0.1:9/api", "nonsense"])
def test_a_named_server_that_is_away_is_named_with_its_variable_and_without_its_password(tmp_path, monkeypatch, address):
    from prefect.client.orchestration import get_client

    monkeypatch.setenv("PREFECT_API_URL", address)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    with (
        pytest.raises(InfraError, match="PREFECT_API_URL") as told,
        prefect_server(Home(tmp_path)),
        get_client(sync_client=True) as client,
    ):
        client.read_flow_runs()
    assert address.rpartition("@")[2] in str(told.value) and "Zqsecret1" not in str(told.value)


@pytest.mark.parametrize(
    ("status", "page", "error", "reason"),
    [
        (502, "<html>Bad Gateway</html>", RuntimeError("Failed to reach API at http://named/api/"), "HTTP 502"),
        (200, "<html>Log in</html>", RuntimeError("Failed to reach API at http://named/api/"), "HTTP 200"),
        (200, "true", ReadTimeout(""), "ReadTimeout"),
    ],
)
def test_a_proxy_or_a_silence_in_the_place_of_a_server_is_named_with_the_remedy(tmp_path, monkeypatch, status, page, error, reason):
    monkeypatch.setenv("PREFECT_API_URL", "http://named/api")
    monkeypatch.setattr(prefect_address, "fetch", lambda *_, **__: HttpAnswer(status, page))
    told = rf"Prefect server at http://named/api does not answer \({reason}.*\): start it, or correct or unset PREFECT_API_URL"
    with pytest.raises(InfraError, match=told), prefect_server(Home(tmp_path)):
        raise error


def test_a_server_that_lets_callers_wait_is_named_before_anything_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(prefect_address, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("PREFECT_API_URL", f"http://me:Zqsecret1@127.0.0.1:{mute.getsockname()[1]}/api")
        with (
            pytest.raises(InfraError, match=r"does not answer in .*PREFECT_API_URL.*nothing was begun") as told,
            prefect_server(Home(tmp_path)),
        ):
            pytest.fail("begun")
    assert "Zqsecret1" not in str(told.value)


def test_a_server_that_falls_silent_under_a_run_is_told_of_and_so_is_its_return(monkeypatch):
    answers = [HttpAnswer(200, "true"), HttpAnswer(0, "timed out"), HttpAnswer(0, "timed out"), HttpAnswer(200, "true")]
    notices, back = [], threading.Event()

    def note(sentence):
        notices.append(sentence)
        if "again" in sentence:
            back.set()

    monkeypatch.setattr(prefect_address, "fetch", lambda *_, **__: answers.pop(0) if len(answers) > 1 else answers[0])
    monkeypatch.setattr(prefect_address, "PAUSE", 0.01)
    monkeypatch.setattr(prefect_address, "print_notice", note)
    with prefect_address.watched_server("http://named/api", "start it"):
        assert back.wait(60)
    assert len(notices) == 2 and "does not answer (timed out): the run waits" in notices[0]


def test_what_a_sound_server_refuses_is_its_own_word(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://named/api")
    monkeypatch.setattr(prefect_address, "fetch", lambda *_, **__: HttpAnswer(200, "true"))
    with pytest.raises(HTTPStatusError, match="its word"), prefect_server(Home(tmp_path)):
        raise HTTPStatusError("its word", request=Request("GET", "http://named"), response=Response(403))


def test_a_fault_of_the_run_itself_is_not_laid_upon_a_server_that_is_away(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ValueError, match="its own"), prefect_server(Home(tmp_path)):
        raise ValueError("its own")


def test_a_record_of_runs_that_no_server_can_open_is_named_with_what_is_lost_without_it(tmp_path, monkeypatch):
    home = Home(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(server, "_spawn_server", lambda *_: subprocess.Popen(["true"]))
    home.prefect.mkdir()
    home.prefect_database.write_text("garbage")
    with (
        pytest.raises(InfraError, match=r"did not start: .*prefect\.db: file is not a database: move it.* Only the record"),
        prefect_server(home),
    ):
        pass
    assert home.prefect_database.read_text() == "garbage"
