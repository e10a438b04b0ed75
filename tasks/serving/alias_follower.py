"""The alias is followed: a new version is loaded, warmed and checked beside the one that answers, then takes its place.

A failure on the way changes nothing for callers: the version that answers goes on, and the follower says why. A follower keeps
one alias; a second model beside the champion is a second follower.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from configs.credentials import without_credentials
from configs.errors import InfraError, InputError
from tasks.common.memory import give_back

log = logging.getLogger(__name__)
LONGEST_PAUSE = 300.0
NICENESS = 15


class Versioned(Protocol):
    @property
    def version(self) -> str: ...


M = TypeVar("M", bound=Versioned)


@dataclass(frozen=True)
class FollowerState:
    """The state of a follower; None where there is nothing to report.

    `looked` says whether the alias has been asked for at all, `wanted` is the version it named last, `registry` why it could not
    be read now, `refused` why `wanted` is not the one that answers, `check` how the one that answers was checked, `since` when it
    began to (Unix seconds).
    """

    version: str | None = None
    since: float | None = None
    looked: bool = False
    wanted: str | None = None
    loading: bool = False
    registry: str | None = None
    refused: str | None = None
    check: str = ""
    swaps: int = 0
    failures: int = 0


@dataclass(frozen=True)
class FollowerFunctions(Generic[M]):
    """A follower's functions: `look` reads the alias, `load` brings a version to where it can answer and tells how it was checked.

    `remembered` names the version to start from where the alias cannot be read; `keep` remembers the one that answers.
    """

    look: Callable[[], str | None]
    load: Callable[[str], tuple[M, str]]
    remembered: Callable[[], str | None]
    keep: Callable[[str], None]


class AliasFollower(Generic[M]):
    """A thread that keeps `current` at the version that the alias names; it runs behind all others, for answers come first."""

    def __init__(self, name: str, functions: FollowerFunctions[M], every: float) -> None:
        self.name, self._functions, self._every = name, functions, every
        self.current: M | None = None
        self.standing = FollowerState()
        self._left: Callable[[], M | None] = lambda: None  # the version before, while it still answers a caller
        self._litter = False
        self._attempts, self._again = 0, 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow_until_stopped, name=f"follow-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Do not begin anything new; what is loading is left to end with the process."""
        self._stopped.set()

    def _follow_until_stopped(self) -> None:
        with suppress(OSError):  # a system that knows no priorities of threads
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._stopped.is_set():
            self.step()
            self._stopped.wait(self._every)

    def step(self) -> None:
        """Look once, and do what is due."""
        self._free_memory()
        version = self._read_alias()
        if version is None:
            return
        if version != self.standing.wanted:
            self._attempts, self._again = 0, 0.0
            self._update_state(wanted=version, refused=None)
        if (self.current is None or version != self.current.version) and time.monotonic() >= self._again:
            self._swap_version(version)

    def _read_alias(self) -> str | None:
        """The version to have: the one the alias names or, where that cannot be read at start, the one of an earlier life."""
        try:
            version = self._functions.look()
        except Exception as error:  # noqa: BLE001  (whatever a registry's client raises, answers go on)
            if self.standing.registry is None:
                log.warning("%s: the alias cannot be read, what answers goes on: %s", self.name, error)
            self._update_state(looked=True, registry=_error_line(error))
            return self._functions.remembered() if self.current is None else None
        if self.standing.registry is not None:
            log.info("%s: the alias is read again", self.name)
        self._update_state(looked=True, registry=None)
        if version is None and self.standing.wanted is not None:
            log.warning("%s: the alias names no version any more, what answers goes on", self.name)
            self._update_state(wanted=None, refused=None)
        return version

    def _swap_version(self, version: str) -> None:
        """Load a version beside the one that answers, and let it answer; or say why not, and when it is tried again."""
        self._update_state(loading=True)
        self._litter = True
        began = time.monotonic()
        try:
            model, check = self._functions.load(version)
        except Exception as error:  # noqa: BLE001  (files, weights, memory: whatever is wrong with it, the other one goes on)
            self._note_failure(version, error)
            return
        old, self.current = self.current, model
        swaps = self.standing.swaps + (old is not None)
        self._update_state(version=version, since=time.time(), loading=False, refused=None, check=check, swaps=swaps)
        log.info("%s: version %s answers, loaded in %.1f s; %s", self.name, version, time.monotonic() - began, check)
        self._left = weakref.ref(old) if old is not None else lambda: None
        try:
            self._functions.keep(version)
        except OSError as error:
            log.warning("%s: version %s cannot be remembered for a start without the registry: %s", self.name, version, error)

    def _note_failure(self, version: str, error: Exception) -> None:
        self._attempts += 1
        pause = min(LONGEST_PAUSE, self._every * 2**self._attempts)
        self._again = time.monotonic() + pause
        reason = f"version {version}: {_error_line(error)}"
        self._update_state(loading=False, refused=reason, failures=self.standing.failures + 1)
        stays = f"version {self.current.version} goes on" if self.current is not None else "nothing answers yet"
        log.error("%s: %s; %s, tried again in %.0f s", self.name, reason, stays, pause, exc_info=log.isEnabledFor(logging.DEBUG))

    def _free_memory(self) -> None:
        """Free the version before, or what did not load: networks hold on to themselves, only a search for garbage finds them."""
        if self._litter:
            self._litter = self._left() is not None
            gc.collect()
            give_back()

    def _update_state(self, **changes: Any) -> None:
        self.standing = replace(self.standing, **changes)


def _error_line(error: Exception) -> str:
    """An error in one line."""
    text = without_credentials(" ".join(str(error).split()))  # before it is cut
    return (text if isinstance(error, InputError | InfraError) else f"{type(error).__name__}: {text}")[:500]
