"""The traffic log's writing side: a list to append to, a thread that writes it down, one that moves what is finished."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from configs.errors import InfraError
from tasks.traffic.disk_faults import in_words
from tasks.traffic.journal import Journal
from tasks.traffic.records import Answer, Feedback, encode_record
from tasks.traffic.settle import settle_journals
from tasks.traffic.store import Store

TICK_SECONDS = 0.2
SYNC_SECONDS = 1.0
TIDY_SECONDS = 3600.0
SAY_SECONDS = 60.0
MOST_WAITING = 200_000  # records
MOST_CHARACTERS = 64 << 20
_OVERHEAD = 200  # characters that a record counts for beside its texts
_LONGEST_PAUSE = 60.0
log = logging.getLogger(__name__)
Redact = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class WriterCounts:
    """Since it was opened: records taken, written to a journal, lost (queue or disk full, journal removed); how many wait now."""

    accepted: int
    written: int
    lost: int
    waiting: int


class Traffic:
    """One process's log; threads may share it. `counts` says what was taken, written and lost."""

    def __init__(self, folder: Path, store: Store, redact: Redact | None = None, tick: float = TICK_SECONDS) -> None:
        self._folder, self._store, self._redact = folder, store, redact
        self._lock, self._turn = threading.Lock(), threading.Lock()  # of what waits; of the journal
        self._waiting: list[Answer | Feedback] = []
        self._characters = 0
        self._accepted = self._written = self._lost = 0
        self._unwritten, self._unwritten_records = memoryview(b""), 0
        self._journal: Journal | None = None
        self._synced, self._said, self.trouble = 0.0, -SAY_SECONDS, ""  # the last: why the journal cannot be written now
        self._behind = self._closed = False
        self._ended, self._sealed = threading.Event(), threading.Event()
        self._process = os.getpid()
        self._threads = [
            threading.Thread(target=work, args=args, name=f"traffic-{name}", daemon=True)
            for name, work, args in (("writer", self._write_until_closed, (tick,)), ("keeper", self._settle_until_closed, ()))
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    @property
    def counts(self) -> WriterCounts:
        with self._lock:
            return WriterCounts(self._accepted, self._written, self._lost, len(self._waiting) + self._unwritten_records)

    def answered(self, answers: Sequence[Answer]) -> None:
        """Keep answers; returns at once, whatever the disk does."""
        self._enqueue(answers, sum(len(answer.text) + len(answer.prediction) for answer in answers))

    def feedback(self, feedback: Sequence[Feedback]) -> None:
        """Keep feedback; what people write, labels and corrections, is redacted first."""
        if self._redact is not None and any(record.kind != "thumb" for record in feedback):
            values = self._redact(["" if record.kind == "thumb" else record.value for record in feedback])
            feedback = [
                record if record.kind == "thumb" else replace(record, value=value)
                for record, value in zip(feedback, values, strict=True)
            ]
        self._enqueue(feedback, sum(len(record.value) for record in feedback))

    def flush(self) -> bool:
        """Write and sync what waits now; whether all of it is on disk."""
        with self._turn:
            return self._write_waiting(sync=True) and self._write_waiting(sync=True)  # what the disk refused before, then the rest

    def close(self) -> None:
        """Write all that was taken, and move it to its store if that answers; journals that cannot be moved wait for the next."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._ended.set()
        self._sealed.set()
        for thread in self._threads:
            thread.join(15)
        flushed = self.flush()
        with self._turn:
            if not flushed:
                self._count_unwritten_lost()
            self._close_journal()
        self._settle_journals()
        self._store.close()

    # --- the caller's side: a list and two numbers ----------------------------------------------------------------------

    def _enqueue(self, records: Sequence[Answer | Feedback], characters: int) -> None:
        size = characters + _OVERHEAD * len(records)
        with self._lock:
            full = len(self._waiting) + len(records) > MOST_WAITING or self._characters + size > MOST_CHARACTERS
            if not full and not self._closed and os.getpid() == self._process:
                self._waiting.extend(records)
                self._characters += size
                self._accepted += len(records)
                return
        self._count_lost(len(records), "the queue is full" if full else "the log is closed, or was opened before a fork")

    def _count_lost(self, records: int, reason: str) -> None:
        """Count what is lost, and say so once a minute."""
        now = time.monotonic()
        with self._lock:
            self._lost += records
            total, due = self._lost, records > 0 and now - self._said >= SAY_SECONDS
            self._said = now if due else self._said
        if due:
            log.error("the traffic log in %s has lost %d records so far: %s; answers go on", self._folder, total, reason)

    # --- the writer: what waits goes to the journal ---------------------------------------------------------------------

    def _write_until_closed(self, tick: float) -> None:
        while not self._ended.wait(tick):
            with self._turn:
                self._write_waiting(sync=False)

    def _write_waiting(self, sync: bool) -> bool:
        """Write what waits, or what the disk refused before; whether it took it."""
        if not self._unwritten_records:
            self._encode_waiting()
        try:
            self._replace_removed_journal()
            while self._unwritten:
                self._journal = self._journal or Journal(self._folder)
                self._unwritten = self._unwritten[self._journal.append(self._unwritten) :]
            self._note_written()
            now = time.monotonic()
            if self._journal is not None and (sync or now - self._synced >= SYNC_SECONDS):
                self._journal.sync()
                self._synced = now
            self._close_journal_if_due(now)
        except OSError as error:
            self._note_trouble(error)
            return False
        return True

    def _encode_waiting(self) -> None:
        with self._lock:
            records, self._waiting, self._characters = self._waiting, [], 0
        lines = []
        for record in records:
            try:
                lines.append(encode_record(record))
            except (ValueError, TypeError, OverflowError) as error:
                self._count_lost(1, f"one cannot be written ({error})")
        self._unwritten, self._unwritten_records = memoryview(b"".join(lines)), len(lines)

    def _replace_removed_journal(self) -> None:
        """A journal that was removed takes its records along: they are lost, and the next begins with the whole of a record."""
        if (journal := self._journal) is not None and not journal.is_there():
            self._close_journal()
            self._count_lost(journal.records, f"{journal.path.name} was removed while it was written")
            self._unwritten = memoryview(self._unwritten.obj if self._unwritten_records else b"")

    def _note_written(self) -> None:
        with self._lock:
            self._written += self._unwritten_records
            if self._journal is not None:
                self._journal.records += self._unwritten_records
            self._unwritten_records = 0
            total = self._lost
        if self.trouble:
            self.trouble = ""
            log.warning("the traffic log in %s is written again; %d records were lost so far", self._folder, total)

    def _note_trouble(self, error: OSError) -> None:
        if not self.trouble:
            self.trouble = f"the traffic log in {self._folder} cannot be written {in_words(error)}"
            log.error("%s; answers go on", self.trouble)

    def _count_unwritten_lost(self) -> None:
        """Count all that no disk has taken whole as lost, and say how many that are, whatever was said before."""
        with self._lock:
            refused = self._unwritten.tobytes().count(b"\n")
            lost_count = refused + len(self._waiting)
            self._written += self._unwritten_records - refused
            self._waiting, self._unwritten_records, self._said = [], 0, -SAY_SECONDS
        self._unwritten = memoryview(b"")
        self._count_lost(lost_count, "the disk did not take the last ones before the end")

    def _close_journal_if_due(self, now: float) -> None:
        """Finish a journal that is old or large enough; while its store is away only a large one, or there would be thousands."""
        journal = self._journal
        if journal is not None:
            old = not self._behind and now - journal.began >= self._store.seal_seconds
            if old or journal.size >= self._store.seal_bytes:
                self._close_journal()
                self._sealed.set()

    def _close_journal(self) -> None:
        """Let go of the journal; where the disk holds half a line of it, readers leave that out."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    # --- the keeper: finished journals go to their store ----------------------------------------------------------------

    def _settle_until_closed(self) -> None:
        usual = min(30.0, self._store.seal_seconds)
        pause, last_tidy = usual, -TIDY_SECONDS
        while not self._ended.is_set():
            done = self._settle_journals()
            if done and time.monotonic() - last_tidy >= TIDY_SECONDS:
                last_tidy = time.monotonic()
                self._try_store(self._store.tidy)
            pause = usual if done else min(2 * pause, _LONGEST_PAUSE)
            (self._sealed if done else self._ended).wait(pause)
            self._sealed.clear()

    def _settle_journals(self) -> bool:
        return self._try_store(lambda: settle_journals(self._folder, self._store))

    def _try_store(self, work: Callable[[], None]) -> bool:
        """Whether it could be done; what hinders it is said once, and the next round tries again, whatever it was."""
        try:
            work()
        except Exception as error:  # the keeper lives as long as its process
            if not self._behind:
                unforeseen = not isinstance(error, InfraError | OSError)
                log.error("journals in %s wait: %s", self._folder, error, exc_info=unforeseen)
            self._behind = True
            return False
        if self._behind:
            log.warning("journals in %s are moved again", self._folder)
        self._behind = False
        return True
