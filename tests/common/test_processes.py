"""The process beside: what it is asked for, what it raises, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import InfraError, InputError
from configs.load import load_pipeline
from tasks.common import processes
from tasks.common.processes import HelperProcess, helper_process, helper_started

UNGUARDED = """
import os, sys
from contextlib import closing
from tasks.common.processes import HelperProcess
sys.stdout.write("once ")
side = HelperProcess()
sys.stdout.write(str(side.submit(os.getppid).result() == os.getpid()))
sys.stdout.flush()
{then}
"""


def test_it_answers_in_order_from_another_process():
    with closing(HelperProcess("json")) as side:
        answers = [side.submit(divmod, number, 3) for number in range(5)]
        assert [each.result() for each in answers] == [divmod(number, 3) for number in range(5)]
        assert side.submit(os.getpid).result() != os.getpid()
        assert side.submit(print, "to standard error, for standard output carries the answers").result() is None


def test_it_steps_back_and_this_process_does_not():
    with closing(HelperProcess()) as side:
        before = os.nice(0)
        side.step_back()
        assert side.submit(os.nice, 0).result() == before + 10 and os.nice(0) == before


def test_what_a_function_raises_is_raised_here_and_the_next_one_answers(tmp_path):
    with closing(HelperProcess()) as side:
        with pytest.raises(InputError, match="no config at"):
            side.submit(load_pipeline, tmp_path / "absent.yaml", []).result()
        assert side.submit(abs, -1).result() == 1


def test_a_process_that_was_killed_is_an_infra_error_not_a_wait():
    with closing(HelperProcess()) as side:
        os.kill(side.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(InfraError, match="was ended"):
            side.submit(abs, -1).result()


def test_a_script_without_a_main_guard_runs_once():
    said = subprocess.run([sys.executable, "-c", UNGUARDED.format(then="side.close()")], capture_output=True, text=True, timeout=60)
    assert said.stdout == "once True"


def test_it_dies_with_its_parent():
    then = "sys.stdout.write(' ' + str(side.submit(os.getpid).result())); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    parent = subprocess.run([sys.executable, "-c", UNGUARDED.format(then=then)], capture_output=True, text=True, timeout=60)
    _wait_for_the_end_of(int(parent.stdout.split()[-1]))


@pytest.mark.parametrize("helper", ["tasks.common.processes", "tasks.serving.reload_check"])
def test_no_helper_outlives_who_was_killed_just_after_starting_it(helper):
    script = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-m', '{helper}', str(os.getpid())], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.wait()  # its standard input stays open: nothing but its parent's death can tell it
        _wait_for_the_end_of(child)


def _wait_for_the_end_of(child: int) -> None:
    deadline = time.monotonic() + 20
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_was_begun_is_given_out_once_and_ends_with_its_block():
    with helper_started(), closing(helper_process()) as first, closing(helper_process()) as second:
        assert first.submit(os.getpid).result() != second.submit(os.getpid).result() != os.getpid()
    with helper_started():
        (waiting,) = processes._begun
    assert waiting._process.returncode is not None and processes._begun == []
