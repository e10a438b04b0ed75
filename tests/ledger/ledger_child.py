"""What the ledger's tests and its long proof share: a registry in files, callers that die in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from configs.errors import InputError
from tasks.ledger.decisions import NewDecision, record_decision
from tasks.ledger.promotions import (
    ChampionMovedError,
    Ledger,
    PromotionEvidence,
    PromotionRequest,
    RollbackRequest,
    adopt_version,
    promote,
    reconcile_alias,
    rollback,
)

WON = PromotionEvidence(verdict="PROMOTE", rule="better")
PROMOTE_STEPS = ("alone", "intended", "before the alias", "alias set", "applied")


class FileRegistry:
    """An alias and versions as files: each change is one rename, so that a kill leaves the old or the new."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, *versions: str) -> FileRegistry:
        (self.folder / "versions").mkdir(parents=True, exist_ok=True)
        for version in versions:
            (self.folder / "versions" / version).touch()
        return self

    def champion(self, model: str) -> str | None:
        alias = self.folder / "champion"
        return alias.read_text() if alias.exists() else None

    def set_champion(self, model: str, version: str) -> None:
        new = self.folder / f"champion.{os.getpid()}"
        new.write_text(version)
        new.replace(self.folder / "champion")

    def versions(self, model: str) -> set[str]:
        return {path.name for path in (self.folder / "versions").iterdir()}

    @property
    def place(self) -> str:
        return str(self.folder)

    def knows(self, model: str) -> bool:
        return (self.folder / "versions").is_dir()

    def run_of(self, model: str, version: str) -> str | None:
        made_by = self.folder / "versions" / version
        return made_by.read_text() or None

    def delete(self, version: str) -> None:
        """As MLflow does: the alias goes with its version."""
        (self.folder / "versions" / version).unlink()
        if self.champion("") == version:
            (self.folder / "champion").unlink()


def promoted(ledger: Ledger, registry: FileRegistry, model: str, *versions: str, evidence: PromotionEvidence = WON) -> None:
    """Promote one after the other."""
    for version in versions:
        promote(ledger, registry, model, PromotionRequest(version, registry.champion(model), evidence, "a test"))


DATABASES = ("sqlite", "postgresql")


def database_url(kind: str, folder: Path) -> str:
    """The address of a database of this kind; where there is no PostgreSQL, the test is skipped, and the run says so."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db"
    import postgres  # not at the top: a process with this folder alone on its path imports this module too

    return postgres.url_or_skip()


def die_at(name: str) -> Callable[[str], None]:
    def step(at: str) -> None:
        if at == name:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def promote_and_die(url: str, folder: Path, model: str, expected: str | None, to: str, at: str) -> None:
    with suppress(InputError):  # a random life asks for what is refused, too
        promote(Ledger(url), FileRegistry(folder), model, PromotionRequest(to, expected, WON, "a test"), step=die_at(at))


def adopt_and_die(url: str, folder: Path, model: str, expected: str | None, to: str, at: str) -> None:
    evidence = PromotionEvidence(run_id="run", train_key="model", decision_key="adoption")
    asked = PromotionRequest(to, expected, evidence, "Ada", "made elsewhere")
    adopt_version(Ledger(url), FileRegistry(folder), model, asked, step=die_at(at))


def rollback_and_die(url: str, folder: Path, model: str, left: str, at: str) -> None:
    with suppress(InputError):
        rollback(Ledger(url), FileRegistry(folder), model, RollbackRequest(left=left, who="a test"), step=die_at(at))


def heal_and_die(url: str, folder: Path, model: str, at: str) -> None:
    reconcile_alias(Ledger(url), FileRegistry(folder), model, step=die_at(at))


def killed(target: Callable[..., None], *arguments: object) -> bool:
    """Run `target` in a process of its own; whether it was killed, as it was to be."""
    import forks  # not at the top: a process with this folder alone on its path imports this module too

    process = forks.context().Process(target=target, args=arguments)
    process.start()
    process.join(180)
    return bool(process.exitcode == -signal.SIGKILL)


def race(url: str, folder: Path, model: str, number: int, rounds: int, barrier: Any, results: Any) -> None:
    """In each round all read the same champion, then all promote their own version at once."""
    ledger, registry = Ledger(url), FileRegistry(folder)
    for turn in range(rounds):
        champion = registry.champion(model)
        barrier.wait(180)
        try:
            promote(ledger, registry, model, PromotionRequest(f"{turn}.{number}", champion, WON, f"process {number}"))
            results.put((turn, number, True))
        except ChampionMovedError:
            results.put((turn, number, False))
        barrier.wait(180)


def run_race(url: str, folder: Path, model: str, processes: int, rounds: int) -> list[tuple[int, int, bool]]:
    """(round, process, whether it won) of every attempt."""
    FileRegistry(folder).add(*(f"{turn}.{number}" for turn in range(rounds) for number in range(processes)))
    import forks

    server = forks.context()
    barrier, results = server.Barrier(processes), server.Queue()
    racers = [server.Process(target=race, args=(url, folder, model, n, rounds, barrier, results)) for n in range(processes)]
    for racer in racers:
        racer.start()
    found = [results.get(timeout=120) for _ in range(processes * rounds)]
    for racer in racers:
        racer.join(30)
    return found


def decide(url: str, model: str, key: str, barrier: Any, results: Any) -> None:
    barrier.wait(180)
    champion = key[-1]  # several, for a look belongs to none of them
    made = record_decision(Ledger(url), NewDecision(model, key, "rows", champion, "HOLD", "run", {}))
    results.put((key, made.look))
