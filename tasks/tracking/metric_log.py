"""Metrics of a training that outlive a kill and an outage: a journal on disk, and a thread that uploads it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.tracking.client import Tracking
from tasks.tracking.connection import first_line, tracking_failures

FLUSH_SECONDS = 2.0
SAMPLE_SECONDS = 10.0  # from one look at the machine to the next


class MetricLog:
    """Metrics of one training: written to a journal at once, uploaded in batches behind its back, each (name, step) exactly once.

    An outage of the tracking server is noticed and waited out; what is in the journal is uploaded when it answers again.
    """

    def __init__(
        self, tracking: Tracking, run_id: str, journal: Path, notice: Callable[[str], None],
        sample: Callable[[], Mapping[str, float]] = dict,
    ) -> None:  # fmt: skip
        """`sample` tells how busy the machine is: asked now and then while metrics are uploaded, its values are kept too."""
        self.tracking, self.run_id, self.journal, self.notice, self.sample = tracking, run_id, journal, notice, sample
        self.writing = threading.Lock()
        journal.parent.mkdir(parents=True, exist_ok=True)
        self.entries = _read_journal(journal, notice)
        self.seen = {(name, step) for step, name, _, _ in self.entries}
        self.sent = 0  # a batch that MLflow has already is recognised by it: same name, step, time and value
        self.closing = threading.Event()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep values of a step; those of a step that an earlier attempt had logged are the same, and skipped."""
        now = int(time.time() * 1000)
        with self.writing:
            new = [(step, name, value, now) for name, value in values.items() if (name, step) not in self.seen]
            with self.journal.open("a") as file:
                file.writelines(json.dumps(entry) + "\n" for entry in new)
            self.seen |= {(name, step) for step, name, _, _ in new}
            self.entries += new

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Upload every few seconds from a thread of its own; at the end all that is left, with bounded retries."""
        thread = threading.Thread(target=self._upload_until_closed, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            self._stop_thread(thread)
            with suppress(
                *tracking_failures()
            ):  # the last losses say what went wrong; an outage would say less than the error itself
                self._upload()
            raise
        self._stop_thread(thread)
        self.tracking.attempt("uploading metrics", self._upload)

    def _stop_thread(self, thread: threading.Thread) -> None:
        self.closing.set()
        thread.join()

    def _upload_until_closed(self) -> None:
        away, last_look = False, 0.0
        while not self.closing.wait(FLUSH_SECONDS):
            if time.monotonic() - last_look >= SAMPLE_SECONDS:
                last_look = time.monotonic()
                self._sample_machine()
            try:
                self._upload()
            except tracking_failures() as error:
                if not away:
                    self.notice(
                        f"MLflow does not answer ({first_line(error)}): training goes on, metrics are kept and uploaded later"
                    )
                away = True
            else:
                away = False

    def _sample_machine(self) -> None:
        """One more step of the machine's own curves; a machine that cannot be read is looked at no more."""
        try:
            if values := self.sample():
                with self.writing:  # training adds to it meanwhile
                    last = max((step for name, step in self.seen if name in values), default=-1)
                self.log(last + 1, values)
        except Exception as error:  # noqa: BLE001  (whatever a driver raises: training is worth more than its curves)
            self.notice(f"how busy this machine is cannot be read, and is not shown ({first_line(error)})")
            self.sample = dict

    def _upload(self) -> None:
        end = len(self.entries)
        if end > self.sent:
            self.tracking.upload(self.run_id, self.entries[self.sent : end])
            self.sent = end


def _read_journal(journal: Path, notice: Callable[[str], None]) -> list[tuple[int, str, float, int]]:
    """What the journal holds; lines that a fault of the disk damaged are cut out, for which no training has to end."""
    lines = _whole_lines(journal)
    entries = [(line, entry) for line in lines if (entry := _parse_entry(line)) is not None]
    if len(entries) < len(lines):
        notice(f"{journal}: {len(lines) - len(entries)} damaged lines are left out of its metrics: check the disk")
        journal.write_text("".join(f"{line}\n" for line, _ in entries))
    return [entry for _, entry in entries]


def _parse_entry(line: str) -> tuple[int, str, float, int] | None:
    with suppress(ValueError, TypeError):
        step, name, value, at = json.loads(line)
        return int(step), str(name), float(value), int(at)
    return None


def _whole_lines(journal: Path) -> list[str]:
    """The journal's lines, less a last one that a kill cut short, which is cut off the file too."""
    if not journal.is_file():
        return []
    text = journal.read_text(errors="replace")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        journal.write_text(whole)
    return whole.split("\n")[:-1]
