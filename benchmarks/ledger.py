"""The ledger's long proof: many at once have one winner, and a kill between any two steps is healed."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "ledger"))

from ledger_child import (
    PROMOTE_STEPS,
    WON,
    FileRegistry,
    heal_and_die,
    killed,
    promote_and_die,
    rollback_and_die,
    run_race,
)

from tasks.ledger.decisions import NewDecision, find_decision, record_decision
from tasks.ledger.promotions import (
    Ledger,
    PromotionRequest,
    RollbackRequest,
    ledger_history,
    promote,
    reconcile_alias,
    replayed_champion,
    rollback,
)

PROCESSES, ROUNDS, REPEATS, LIVES, SEED = 16, 25, 5, 60, 20240601
QUICK = 30.0  # milliseconds: a hundredth of a run in which nothing changed
MODEL = "proof"


def races(folder: Path) -> str:
    url = f"sqlite:///{folder}/ledger.db"
    attempts = run_race(url, folder / "registry", MODEL, PROCESSES, ROUNDS)
    winners = [sum(won for turn, _, won in attempts if turn == at) for at in range(ROUNDS)]
    rows = ledger_history(Ledger(url), MODEL)
    whole = [row.epoch for row in rows] == list(range(1, ROUNDS + 1)) and all(row.state == "applied" for row in rows)
    live = FileRegistry(folder / "registry").champion(MODEL) == replayed_champion(Ledger(url), MODEL)
    one = sum(count == 1 for count in winners)
    return _line(
        f"{PROCESSES} processes promote at once, {ROUNDS} rounds",
        f"exactly one winner in {one} of {ROUNDS}; {len(attempts) - sum(winners)} refused; epochs whole: {whole}; "
        f"replay is the alias: {live}",
        one == ROUNDS and whole and live,
    )


def _line(what: str, seen: str, good: bool) -> str:
    return f"| {what} | {seen} | {'holds' if good else 'DOES NOT HOLD'} |"


def _ready(folder: Path) -> tuple[str, Ledger, FileRegistry]:
    url, registry = f"sqlite:///{folder}/ledger.db", FileRegistry(folder / "registry").add("1", "2", "3")
    ledger = Ledger(url)
    for version in ("1", "2"):
        promote(ledger, registry, MODEL, PromotionRequest(version, registry.champion(MODEL), WON, "the proof"))
    return url, ledger, registry


def killed_promotion(folder: Path, at: str, heal_at: str | None) -> bool:
    """Promote and be killed at `at`; heal, and be killed at `heal_at` too; then heal: is it as if nothing had been?"""
    url, ledger, registry = _ready(folder)
    died = killed(promote_and_die, url, registry.folder, MODEL, "2", "3", at)
    if heal_at is not None:
        killed(heal_and_die, url, registry.folder, MODEL, heal_at)
    healed = reconcile_alias(ledger, registry, MODEL).champion
    agrees = healed == registry.champion(MODEL) == replayed_champion(ledger, MODEL) == ("2" if at == "alone" else "3")
    promote(ledger, registry, MODEL, PromotionRequest("3", expected="2", evidence=WON, who="the rerun"))
    once = [row.to_version for row in ledger_history(ledger, MODEL)] == ["1", "2", "3"]
    return died and agrees and once and registry.champion(MODEL) == "3"


def killed_rollback(folder: Path, at: str) -> bool:
    url, ledger, registry = _ready(folder)
    died = killed(rollback_and_die, url, registry.folder, MODEL, "2", at)
    healed = reconcile_alias(ledger, registry, MODEL).champion
    agrees = healed == registry.champion(MODEL) == replayed_champion(ledger, MODEL) == ("2" if at == "alone" else "1")
    if healed == "2":
        rollback(ledger, registry, MODEL, RollbackRequest(left="2", who="the rerun"))
    return died and agrees and registry.champion(MODEL) == "1" and len(ledger_history(ledger, MODEL)) == 3


def kills(folder: Path) -> list[str]:
    trials = [("promote", at, None) for at in PROMOTE_STEPS] + [("rollback", at, None) for at in PROMOTE_STEPS]
    trials += [("promote, then its healing", "intended", at) for at in ("alone", "before the alias", "alias set", "applied")]
    lines = []
    for what, at, heal_at in trials:
        healed = 0
        for repeat in range(REPEATS):
            place = folder / f"{what[:8]}-{at}-{heal_at}-{repeat}".replace(" ", "_")
            place.mkdir()
            healed += killed_rollback(place, at) if what == "rollback" else killed_promotion(place, at, heal_at)
        lines.append(_line(f"kill -9 in {what}, at `{heal_at or at}`", f"healed {healed} of {REPEATS}", healed == REPEATS))
    return lines


def lives(folder: Path) -> str:
    """Random lives: promotions, rollbacks, people in the UI, deletions; half the promotions and rollbacks are to be killed."""
    held = died = moves = 0
    for life in range(LIVES):
        chance = random.Random(SEED + life)
        place = folder / str(life)
        place.mkdir()
        url, ledger, registry = _ready(place)
        registry.add("4", "5", "6", "7", "8")
        for _ in range(10):
            agreed, kill = _live_once(chance, url, ledger, registry)
            held, died, moves = held + agreed, died + kill, moves + 1
    what = f"{LIVES} random lives of 10 moves, {died} of them killed"
    return _line(what, f"replay is the alias after healing: {held} of {moves}", held == moves and died > 0)


def _live_once(chance: random.Random, url: str, ledger: Ledger, registry: FileRegistry) -> tuple[bool, bool]:
    """Whether ledger and alias agree after one move and its healing, and whether the move was killed."""
    versions, live = sorted(registry.versions(MODEL)), registry.champion(MODEL)
    act, at = chance.choice(["promote", "promote", "rollback", "move", "delete"]), chance.choice(PROMOTE_STEPS)
    fresh, died = chance.choice(versions), False
    if act == "promote" and fresh != live:
        died = killed(promote_and_die, url, registry.folder, MODEL, live, fresh, at if chance.random() < 0.5 else "never")
    elif act == "rollback" and live is not None:
        died = killed(rollback_and_die, url, registry.folder, MODEL, live, at if chance.random() < 0.5 else "never")
    elif act == "move":
        registry.set_champion(MODEL, fresh)
    elif act == "delete" and len(versions) > 4:
        registry.delete(fresh)
    return reconcile_alias(ledger, registry, MODEL).champion == registry.champion(MODEL) == replayed_champion(ledger, MODEL), died


def skip_path(folder: Path) -> str:
    url = f"sqlite:///{folder}/ledger.db"
    for number in range(200):
        record_decision(Ledger(url), NewDecision(MODEL, str(number), "rows", "1", "HOLD", None, {}))
    seconds = []
    for number in range(50):
        began = time.perf_counter()
        find_decision(Ledger(url), MODEL, str(number))
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    median, slowest = seconds[25] * 1e3, seconds[-1] * 1e3
    what, seen = "open the ledger and find a decision among 200", f"median {median:.1f} ms, slowest of 50 {slowest:.1f} ms"
    return _line(what, f"{seen}; the median at most {QUICK:.0f} ms", median <= QUICK)


def section() -> str:
    """The proof as a Markdown section; some minutes on two cores."""
    with tempfile.TemporaryDirectory() as name:
        folders = {part: Path(name) / part for part in ("races", "kills", "lives", "skip")}
        for folder in folders.values():
            folder.mkdir()
        rows = [races(folders["races"]), *kills(folders["kills"]), lives(folders["lives"]), skip_path(folders["skip"])]
    head = (
        f"## Ledger\n\nThe ledger itself on SQLite, in many processes; the registry beside it is a stand-in in files (an alias, a file per "
        "version; each change one rename), not MLflow's, so that hundreds of kills take minutes. On MLflow's own registry: one life "
        f"in `tests/ledger/test_ledger_mlflow.py`, and the whole flow under kill -9 in the section Kills. Seed {SEED}, {os.cpu_count()} cores.\n\n"
        "| What | Seen | |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def main() -> None:
    print(section())


if __name__ == "__main__":
    main()
