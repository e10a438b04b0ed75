"""What a person at the terminal sees: stages, notices, a training bar, the final table. All of it goes to standard error."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any, cast

from configs.credentials import without_credentials

if TYPE_CHECKING:
    from rich.console import Console

QUIET_SECONDS = 15.0
# What a terminal obeys, and what turns the direction of a text: names of columns and files may hold anything.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@cache
def console() -> Console:
    """The one console; standard output belongs to `--json`."""
    from rich.console import Console

    return Console(file=cast("IO[str]", _StandardError()), highlight=False, soft_wrap=True)


class _StandardError:
    """Standard error as it is at each moment; what it does not take (nobody reads, its disk is full) is lost and ends no run."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def print_notice(sentence: str) -> None:
    """One notice."""
    console().print(f"  [yellow]![/] {_escape_markup(sentence)}")


@contextmanager
def stage(name: str) -> Iterator[dict[str, float]]:
    """Name a stage when it ends, with its seconds; what the block puts under `note` stands beside it."""
    began = time.monotonic()
    facts: dict[str, Any] = {"note": ""}
    yield facts
    facts["seconds"] = time.monotonic() - began
    console().print(f"  [green]✓[/] {name:<9} [dim]{facts['seconds']:6.1f} s[/]  {_escape_markup(str(facts['note']))}")


class Bar:
    """A bar on a terminal; a line now and then elsewhere."""

    def __init__(self, progress: Any, label: str = "train") -> None:
        self.progress, self.what, self.loss, self.spoke = progress, label, "", time.monotonic()
        self.task = progress.add_task(label, total=None, loss="") if progress is not None else None

    def move(self, step: int, total: int) -> None:
        if self.progress is not None:
            self.progress.update(self.task, completed=step, total=total)
        elif time.monotonic() - self.spoke > QUIET_SECONDS:
            self.spoke = time.monotonic()
            console().print(f"    [dim]{_escape_markup(f'{self.what} {step} of {total} {self.loss}'.rstrip())}[/]")

    def say(self, loss: str) -> None:
        self.loss = loss
        if self.progress is not None:
            self.progress.update(self.task, loss=loss)


@contextmanager
def training_bar(label: str = "train") -> Iterator[Bar]:
    """Progress of optimizer steps, with the newest loss; or of something else that takes long."""
    if not sys.stderr.isatty():
        yield Bar(None, label)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("    {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=console(), transient=True) as progress:
        yield Bar(progress, label)


def print_closing(title: str, colour: str, rows: Sequence[Sequence[str]], reasons: Sequence[str], hints: Sequence[str]) -> None:
    """The end of a run: a short table, the verdict and why, and what to do next."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), show_header=True, header_style="dim")
    head, *body = rows or ((),)
    for place, name in enumerate(head):
        table.add_column(_escape_markup(name), justify="left" if place == 0 else "right", no_wrap=place < len(head) - 1)
    for row in body:
        table.add_row(*map(_escape_markup, row))
    console().print()
    console().print(table)
    console().print(f"\n  [bold {colour}]{_escape_markup(title)}[/]")
    for reason in reasons:
        console().print(f"    {_escape_markup(reason)}")
    for hint in hints:
        console().print(f"  [dim]{_escape_markup(hint)}[/]")


def _escape_markup(text: str) -> str:
    from rich.markup import escape

    return escape(terminal_text(text))


def terminal_text(text: str) -> str:
    """A text without credentials, and with a question mark for each sign that a terminal would obey and not show."""
    return _COMMANDS.sub("?", without_credentials(text))
