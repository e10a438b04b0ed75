"""A device has one training at a time; death gives it back at once."""

import signal
import subprocess
import sys
import threading
import time
from contextvars import copy_context

import pytest

from tasks.common.gpu_slots import LIMIT, POLL_SECONDS, gpu_slot

HOLDER = """
import sys, time
from pathlib import Path
from tasks.common import gpu_slots
with gpu_slots._file_slot(Path(sys.argv[1]) / "locks", int(sys.argv[2]), lambda _: None) as (number, _):
    print(number, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a slot; its number is its first line."""
    started = []

    def start(devices=1):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path), str(devices)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def limit(server):
    """The limit as Prefect has it."""
    from prefect.client.orchestration import get_client

    def read():
        with get_client(sync_client=True) as client:
            return client.read_global_concurrency_limit_by_name(LIMIT)

    return read


def ignore(_):
    pass


def test_a_slot_is_taken_in_prefect_too_and_given_back(limit, tmp_path):
    with gpu_slot(tmp_path, 2, ignore) as first:
        with gpu_slot(tmp_path, 2, ignore) as second:
            assert {first, second} == {0, 1} and (limit().limit, limit().active_slots) == (2, 2)
        assert limit().active_slots == 1
    assert limit().active_slots == 0


def test_a_slot_whose_holder_was_killed_is_there_at_the_next_poll_and_prefects_count_is_put_right(limit, holder, tmp_path):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    with gpu_slot(tmp_path, 1, ignore):
        pass
    process, _ = holder()
    with get_client(sync_client=True) as client:  # what the killed run leaves behind in Prefect
        client.update_global_concurrency_limit(LIMIT, GlobalConcurrencyLimitUpdate(active_slots=1))
    said = []

    def wait(sentence):
        said.append(sentence)
        process.send_signal(signal.SIGKILL)

    with gpu_slot(tmp_path, 1, wait):
        assert limit().active_slots == 1
    assert POLL_SECONDS <= 1 and said == ["all 1 device slots are taken: waiting for one"] and limit().active_slots == 0


def test_never_more_train_at_once_than_there_are_devices(server, tmp_path):
    inside, most, together = set(), [], threading.Lock()

    def work(number):
        with gpu_slot(tmp_path, 2, ignore) as slot:
            with together:
                inside.add((number, slot))
                most.append((len(inside), len({held for _, held in inside})))
            time.sleep(0.05)
            with together:
                inside.discard((number, slot))

    threads = [threading.Thread(target=copy_context().run, args=(work, number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 6 and max(count for count, _ in most) <= 2 and all(count == slots for count, slots in most)


def test_slots_of_other_processes_are_counted(limit, holder, tmp_path):
    _, taken = holder(devices=2)
    with gpu_slot(tmp_path, 2, ignore) as ours:
        assert ours != taken and limit().active_slots == 2
