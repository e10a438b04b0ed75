"""`tunekeeper serve` as a process on a real registry: it follows the alias under load, and ends without losing anything."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from serving_parts import TEXTS, Asker, register

from configs.load import load_pipeline
from flows.local.logs import PER_MINUTE
from tasks.common.home import Home
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kept(tmp_path, monkeypatch, empty_database, bert_folder):
    """A pipeline and its home, with nothing in its registry."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_database, home / "mlflow.db")
    config = tmp_path / "keep.yaml"
    data = {"source": "rows.csv", "redact": {"enabled": False}}
    settings = {"name": "tiny", "problem": "text-classification", "data": data, "training": {"precision": "fp32"}}
    model = {"base": str(bert_folder), "max_length": 32}
    config.write_text(json.dumps({**settings, "model": model, "serving": {"follow_seconds": 0.2, "audit_rate": 0}}))
    monkeypatch.setenv("TUNEKEEPER_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home, config


def versions(kept, count):
    """So many versions, the first of them champion."""
    home, config = kept
    for seed in range(1, count + 1):
        register(home, load_pipeline(config), config.parent / str(seed), seed, champion=seed == 1)


def damage_newest(home):
    """Change the last bits of the weights that were stored last."""
    newest = max((home / "artifacts").rglob("trainable.safetensors"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:-4] + b"\0\0\0\1")


class Serving:
    """The process; `said` collects the answers of clients that ask until it ends."""

    def __init__(self, config, **environment):
        command = [sys.executable, "-m", "flows", "serve", str(config), "--port", "0"]
        given = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        self.process = subprocess.Popen(command, cwd=ROOT, env=given, stderr=subprocess.PIPE, text=True)
        self.lines, self.said, self.failed, self.stopping = [], [], [], threading.Event()
        threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True).start()
        self.ask = Asker(int(self.until(lambda: re.search(r"http://127.0.0.1:(\d+)", "".join(self.lines)))[1]))

    def until(self, seen, seconds=240):
        """Wait for something to be so; what it was."""
        deadline = time.monotonic() + seconds
        while not (found := seen()):
            assert time.monotonic() < deadline and self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)
        return found

    def ready(self):
        try:
            return self.ask("GET", "/ready")[2]
        except OSError:
            return {"version": None}

    def version(self, wanted):
        return self.until(lambda: (found := self.ready())["version"] == wanted and found)

    def clients(self, count):
        def client():
            while not self.stopping.is_set():
                try:
                    status, _, said = self.ask("POST", "/predict", {"text": TEXTS[len(self.said) % len(TEXTS)]})
                except OSError as error:  # where it is stopping it takes no more
                    if not self.stopping.is_set():
                        self.failed.append(error)
                    return
                (self.said if status == 200 else self.failed).append(said)

        threads = [threading.Thread(target=client) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def stop(self):
        self.stopping.set()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def start(kept):
    begun = []

    def go(**environment):
        begun.append(Serving(kept[1], **environment))
        return begun[-1]

    yield go
    for one in begun:
        one.stopping.set()
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_it_follows_the_alias_under_load_keeps_the_old_version_where_the_new_is_broken_and_loses_nothing(kept, start):
    from tasks.traffic.log import read_answers

    home, _ = kept
    versions(kept, 3)
    damage_newest(home)
    registry = Registry(Tracking(Home(home)), "champion")
    serving = start()
    assert serving.version("1")["check"].startswith("checked: 16 of 16")
    threads = serving.clients(4)
    registry.set_champion("tiny", "2")
    serving.version("2")
    registry.set_champion("tiny", "3")
    told = serving.until(lambda: (found := serving.ready())["refused"] and found)
    assert told["ready"] and told["version"] == "2" and told["alias_names"] == "3" and "version 3" in told["refused"]
    registry.set_champion("tiny", "1")
    serving.version("1")
    began = len(serving.said)
    serving.until(lambda: len(serving.said) > began + 20)
    assert serving.stop() == 0
    for thread in threads:
        thread.join(20)
    assert not serving.failed, serving.failed[:3]
    logged = read_answers(home, "tiny")
    assert {one["id"] for one in serving.said} <= set(logged["id"])
    assert {one["version"] for one in serving.said} == {"1", "2"}
    said = "".join(serving.lines)
    assert "no TUNEKEEPER_API_KEYS is set: only this machine is answered" in said and "Traceback" not in said
    assert json.loads((home / "serving" / "tiny.json").read_text()) == {"version": "1"}


def test_with_the_registry_away_at_start_the_last_version_is_loaded_from_this_machine(kept, monkeypatch):
    from flows.cli.serve import follower_ways

    home, config = kept
    versions(kept, 2)
    there = follower_ways(load_pipeline(config), Home(home))
    assert there.look() == "1" and there.remembered() is None
    there.load("1")
    assert there.remembered() == "1"  # fetched, though nobody has answered with it
    there.load("2")
    there.keep("1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = follower_ways(load_pipeline(config), Home(home))
    with pytest.raises(Exception, match="reading the alias champion failed"):
        away.look()
    assert away.remembered() == "1"
    ready, check = away.load("1")
    assert ready.version == "1" and check.startswith("checked: 16 of 16")


def test_a_port_that_is_taken_is_said_before_anything_slow_begins(kept, capsys):
    import socket

    from flows.__main__ import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SystemExit) as left:
            main(["serve", str(kept[1]), "--port", str(taken.getsockname()[1])])
    assert left.value.code == 2 and "cannot listen on 127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "asked"), [({}, "0"), ({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}, "2")])
def test_it_hears_soon_that_a_registry_is_away_unless_the_user_has_said_how_long_to_wait(kept, monkeypatch, given, asked):
    import socket

    from flows.__main__ import main
    from tasks.common.home import ENVIRONMENT

    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SystemExit):
            main(["serve", str(kept[1]), "--port", str(taken.getsockname()[1])])
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == asked and os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"


def test_what_callers_make_the_server_say_again_and_again_is_counted_after_prefect_was_imported_too():
    code = (
        "from flows.cli.serve import _log_to_stderr; _log_to_stderr(); import logging; from prefect import task;"
        "[logging.getLogger('uvicorn.error').warning('Invalid HTTP request received.') for _ in range(50)]"
    )
    given = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_LOGGING")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True, check=True)
    assert done.stderr.count("Invalid HTTP request received.") == PER_MINUTE


def test_a_port_out_of_range_and_a_mistyped_key_are_refused_at_start(kept, capsys, monkeypatch):
    from flows.__main__ import main

    with pytest.raises(SystemExit) as left:
        main(["serve", str(kept[1]), "--port", "70000"])
    assert left.value.code == 2 and "--port is `70000`" in capsys.readouterr().err
    monkeypatch.setenv("TUNEKEEPER_API_KEYS", "app:ask+admin:a-secret-of-many-letters")
    with pytest.raises(SystemExit) as left:
        main(["serve", str(kept[1]), "--port", "0"])
    said = capsys.readouterr().err
    assert left.value.code == 2 and "role 2 of 2" in said and "a-secret" not in said
