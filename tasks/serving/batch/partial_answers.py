"""The answers of a part of a batch that is not whole yet, kept every few seconds: a killed scoring loses no more than that.

A part is some thousand rows, for which a large model takes minutes. What goes through a model together decides the last digits of
its scores, so whole groups of texts are kept: a resumed scoring asks the same groups, and the result is the same to the byte.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.common.files import flush_to_disk
from tasks.serving.batcher import Prediction

Ask = Callable[[Sequence[str]], Sequence[Prediction | None]]
KEEP_SECONDS = 5.0  # from one writing to the next; a group that takes longer is written when it is answered


class PartialAnswers:
    """Answers by group, of the texts at such places of a part; those that an earlier process kept are there from the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.groups: dict[int, list[Prediction | None]] = {}
        self.seconds = 0.0  # that the model took for them
        for line in _whole_lines(path):
            entry = json.loads(line)
            self.groups[entry["group"]] = [None if row is None else Prediction(*row) for row in entry["said"]]
            self.seconds += entry["seconds"]
        self.kept = sum(map(len, self.groups.values()))
        self._waiting: list[str] = []
        self._written = time.monotonic()

    def ask(self, group: int, texts: Sequence[str], answers: Ask) -> Sequence[Prediction | None]:
        """The predictions for a group of texts, from the file where it has them; None for a text that the model does not answer."""
        if group not in self.groups:
            began = time.perf_counter()
            self.groups[group] = list(answers(texts))
            seconds = time.perf_counter() - began
            self.seconds += seconds
            self._waiting.append(json.dumps({"group": group, "said": self.groups[group], "seconds": seconds}))
            if time.monotonic() - self._written >= KEEP_SECONDS:
                self._write()
        return self.groups[group]

    def drop(self) -> None:
        """The part itself is on disk."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        with self.path.open("a", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in self._waiting)
        flush_to_disk(self.path)
        self._waiting, self._written = [], time.monotonic()


def _whole_lines(path: Path) -> list[str]:
    """The lines that were written whole; one that a kill cut short goes from the file too."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return whole.decode("ascii").splitlines()
