import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from ledger_child import database_url

from configs.errors import InfraError
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import Ledger

HOLDER = """
import os, sys, time
from pathlib import Path
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import Ledger
home, url, fork = sys.argv[1:]
with hold_pipeline(Path(home), "helpdesk", lambda _: None, ledger=Ledger(url) if url else None):
    child = os.fork() if fork else 1
    if child:
        print("held", child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    started = []

    def start(url="", fork="", home=tmp_path):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, str(home), url, fork], stdout=subprocess.PIPE, text=True)
        started.append(process)
        said = process.stdout.readline().split()
        assert said[:1] == ["held"]
        return process, int(said[1])

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def ignore(_):
    pass


def test_death_releases_a_pipeline_at_once(holder, tmp_path):
    process, _ = holder()
    with (
        pytest.raises(InfraError, match=f"still held by process {process.pid} since 20.* after 0.2 s"),
        hold_pipeline(tmp_path, "helpdesk", ignore, timeout=0.2),
    ):
        pass
    process.kill()
    process.wait()
    with hold_pipeline(tmp_path, "helpdesk", ignore, timeout=0) as held:  # at the first try
        held.check()


def test_a_forked_child_that_outlives_its_killed_parent_holds_nothing(holder, tmp_path):
    process, child = holder(fork="yes")
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        with hold_pipeline(tmp_path, "helpdesk", ignore, timeout=5):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_who_waits_is_told_once_who_holds_the_pipeline_and_then_gets_it(holder, tmp_path):
    process, _ = holder()
    told = []

    def wait(sentence):
        told.append(sentence)
        process.kill()

    with hold_pipeline(tmp_path, "helpdesk", wait, timeout=60) as held:
        held.check()
    assert len(told) == 1 and told[0].startswith(f"pipeline helpdesk is held by process {process.pid} since 20")


def test_other_pipelines_are_not_held_up(holder, tmp_path):
    holder()
    with hold_pipeline(tmp_path, "banking77", ignore, timeout=0.1):
        pass


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, most = [], []

    def work():
        with hold_pipeline(tmp_path, "helpdesk", ignore, timeout=20):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def test_an_error_inside_releases_the_pipeline(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_pipeline(tmp_path, "helpdesk", ignore):
        _ = 1 / 0
    with hold_pipeline(tmp_path, "helpdesk", ignore, timeout=0.1):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "7", "token": "t", "inode": "0"}'])
def test_a_note_half_written_or_copied_from_elsewhere_says_nothing(tmp_path, note):
    from tasks.ledger.pipeline_lock import file_lock

    path = tmp_path / "locks" / "helpdesk.lock"
    path.parent.mkdir()
    path.write_text(note)
    with file_lock(path, "pipeline helpdesk", ignore) as lock:
        assert lock.before is None


def test_a_lock_folder_that_cannot_be_made_is_an_infra_error(tmp_path):
    (tmp_path / "locks").touch()
    with pytest.raises(InfraError, match="cannot be opened"), hold_pipeline(tmp_path, "helpdesk", ignore):
        pass


def test_a_rerun_on_the_same_machine_inherits_the_lease_of_the_killed_and_another_machine_waits(holder, tmp_path):
    stack = ExitStack()
    url = database_url("postgresql", tmp_path)
    process, _ = holder(url)
    told: list[str] = []
    elsewhere = tmp_path / "elsewhere"  # another HOME is as another machine
    with pytest.raises(InfraError, match=f"held by process {process.pid} on"):
        stack.enter_context(hold_pipeline(elsewhere, "helpdesk", told.append, timeout=0.6, ledger=Ledger(url)))
    process.kill()
    process.wait()
    with pytest.raises(InfraError):
        stack.enter_context(hold_pipeline(elsewhere, "helpdesk", told.append, timeout=0.6, ledger=Ledger(url)))
    with hold_pipeline(tmp_path, "helpdesk", ignore, timeout=0, ledger=Ledger(url)) as held:  # at the first try
        held.check()
