"""What a command says and how it exits where a signal ends it: in a line, how to go on."""

import os
import signal
import time

import pytest

from configs.errors import InfraError, StoppedError
from flows import __main__ as command_line

HOW = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command that does as it is given; its exit code and what it said."""
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path))
    monkeypatch.setattr(command_line, "settle_environment", lambda _: None)  # the tests' own stands

    def ended(act):
        monkeypatch.setattr(command_line, "_doctor", lambda _: act())
        with pytest.raises(SystemExit) as left:
            command_line.main(["doctor"])
        return left.value.code, capsys.readouterr().err

    return ended


@pytest.mark.parametrize("which", HOW)
def test_a_command_that_a_signal_ends_says_how_to_go_on_and_exits_as_shells_expect(run, which):
    def hit():
        os.kill(os.getpid(), which)
        time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    code, said = run(hit)
    assert code == 128 + which and signal.getsignal(signal.SIGTERM) is before
    assert said == f"error: stopped by {HOW[which]}; what was finished is kept: run the same command to go on\n"


def test_a_stop_that_a_library_wrapped_in_an_error_of_its_own_is_told_as_the_stop_it_is(run):
    def stopped():
        try:
            raise StoppedError("stopped at step 7: run the same command", signal.SIGINT)
        except StoppedError as error:
            raise RuntimeError("a task failed") from error

    assert run(stopped) == (130, "error: stopped at step 7: run the same command\n")


def test_what_is_no_stop_exits_as_before(run):
    def fail():
        raise InfraError("the disk is full: free some space")

    assert run(fail) == (1, "error: the disk is full: free some space\n") and run(lambda: 0)[0] == 0
