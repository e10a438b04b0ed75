"""What a person at the terminal sees, whatever the names and reasons hold."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.common.terminal import print_closing, print_notice, stage


@pytest.mark.parametrize("why", ["nobody reads", "its disk is full", "it was closed"])
def test_a_standard_error_that_takes_no_more_ends_no_run(why, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") as full, open(writer, "w", buffering=1) as pipe:  # noqa: PTH123  (a number, not a path)
        stream = full if why == "its disk is full" else pipe
        if why == "it was closed":
            with suppress(OSError):
                pipe.close()
        monkeypatch.setattr(sys, "stderr", stream)
        with stage("train"):
            print_notice("a sentence")
        print_closing("tiny", "green", (), (), ())
        monkeypatch.undo()
        for file in (full, pipe):
            with suppress(OSError):
                file.close()


def test_square_brackets_of_a_name_or_a_reason_are_shown_and_end_nothing(capsys):
    table = [("who", "why [/in]"), ("ana[/b]", "see [red]this[/red]")]
    print_closing("tiny [/x] is version 1", "green", table, ("for [/y]",), ("next: [/z]",))
    shown = capsys.readouterr().err
    for text in ("why [/in]", "ana[/b]", "see [red]this[/red]", "tiny [/x] is", "for [/y]", "next: [/z]"):
        assert text in shown
