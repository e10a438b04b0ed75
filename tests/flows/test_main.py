"""What a command says and how it exits where a signal ends it: in a line, how to go on."""

import argparse
import os
import signal
import time
from pathlib import Path

import pytest

from configs.errors import InfraError, InputError, StoppedError
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


@pytest.mark.parametrize(
    "given",
    [{"overrides": ["data.source=postgresql://u:hunter two@host/db/t"]}, {"reason": "postgresql://u:hunter two@host/db/t"}],
)
def test_a_password_with_a_space_is_refused_and_not_shown(given):
    with pytest.raises(InputError, match=r"postgresql://\*\*\*@host/db/t: holds a password") as refused:
        command_line._refuse_credentials(argparse.Namespace(**given))
    assert "two@" not in str(refused.value) and "hunter" not in str(refused.value)


def test_a_word_that_no_command_takes_is_shown_without_its_credential(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["doctor", "--addres", "http://u:hunter2@h"])
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["input", "output", "version", "config", "overrides"])
def test_a_word_whose_bytes_are_no_utf8_is_refused_before_it_is_kept(option):
    word = os.fsdecode(b"a=\xff.parquet")
    given = {"input": "a.csv", "id": word, option: [word] if option == "overrides" else Path(word) if option == "config" else word}
    with pytest.raises(InputError, match=rf"^{option} 'a=\\udcff\.parquet': holds bytes that are no UTF-8"):
        command_line._refuse_credentials(argparse.Namespace(**given))


def test_the_id_of_a_row_may_be_an_address_with_a_key(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "settle_environment", lambda _: None)
    monkeypatch.setattr(command_line, "_find", lambda given: print(given.id) or 0)
    with pytest.raises(SystemExit) as left:
        command_line.main(["find", "a.yaml", "--id", "https://shop.example/o?key=42"])
    assert left.value.code == 0 and capsys.readouterr().out == "https://shop.example/o?key=42\n"


def test_a_folder_that_is_gone_or_a_home_that_is_none_is_told_in_a_line(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", "~nobody-of-that-name")
    assert run(lambda: 0) == (
        1,
        "error: TUNEKEEPER_HOME=~nobody-of-that-name: the home folder that ~ stands for is not known: write the path out\n",
    )
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(lambda: 0) == (
        1,
        "error: the working folder is no longer there: go to one that is (cd), and run the command again\n",
    )


def test_a_contract_that_cannot_be_written_is_refused_before_the_data_are_read(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "home"))
    (tmp_path / "keep.yaml").write_text("name: a\nproblem: text-classification\ndata: {source: none.csv}\nmodel: {base: b}\n")
    with pytest.raises(SystemExit) as left:
        command_line.main(["draft-contract", str(tmp_path / "keep.yaml"), "--output", str(tmp_path / "file" / "suite.json")])
    said = capsys.readouterr().err
    assert left.value.code == 2 and "file: cannot be made (File exists): name another file with --output" in said


def test_the_closing_table_has_as_many_metrics_as_a_terminal_fits():
    from flows.cli.launch import WIDTH, _columns_that_fit

    table = [
        ("", "accuracy", "interval", "a metric with a long name", "another one of them", "and one more"),
        ("model", *["0.5"] * 5),
    ]
    assert [len(row) for row in _columns_that_fit(table)] == [5, 5] and _columns_that_fit([]) == []
    assert len(_columns_that_fit([("x" * WIDTH, "y", "z", "w")])[0]) == 3


def test_a_scoring_says_why_rows_have_no_answer(capsys):
    from flows.cli.launch import _print_scores

    outcome = {
        "rows": 1200, "answered": 1200, "pipeline": "tiny", "version": "1", "skipped": False, "rows_per_second": 9.0, "kept": 0,
        "output": "o.parquet",
    }  # fmt: skip
    _print_scores(outcome)
    assert "no `prediction`" not in capsys.readouterr().err
    _print_scores({**outcome, "answered": 0})
    assert "1,200 rows have no `prediction`: their text is empty" in capsys.readouterr().err
