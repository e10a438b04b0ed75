"""A kept model that is small and whole: 300 invented rows, a random BERT, and what came of its life, read where it was left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

NAME = "tiny"
SETTINGS: dict[str, Any] = {
    "name": NAME,
    "problem": "text-classification",
    "adapter": {"kind": "lora", "r": 4, "dropout": 0.1},
    "training": {"epochs": 6, "batch_size": 16, "learning_rate": 6e-3, "checkpoint_every": 10},
    "evaluation": {"bootstrap": 100},
    "gate": {"looks_per_year": 1, "min_rows": 30},
}
DATA = {"id": "ticket", "slices": ["half"], "split": {"by": "hash", "validation": 0.1, "test": 0.4}}


@dataclass(frozen=True)
class Job:
    """A folder with rows, base and config; every life of it has a home of its own."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "keep.yaml"

    def home(self, name: str) -> Path:
        """A fresh home; MLflow's empty database is a copy, for its first call takes seconds."""
        home = self.folder / name
        (home / "tmp").mkdir(parents=True)
        shutil.copy(self.folder / "mlflow.db", home / "mlflow.db")
        return home


def make_job(folder: Path, rows: int = 300) -> Job:
    """Write rows, base, config and an empty MLflow database."""
    import pandas as pd
    import tiny

    from tasks.common.home import Home
    from tasks.tracking.client import Tracking

    tiny.bert(folder / "base")
    pd.DataFrame(tiny.rows(rows)).to_csv(folder / "rows.csv", index=False)
    data = {**DATA, "source": str(folder / "rows.csv")}
    settings = {**SETTINGS, "data": data, "model": {"base": str(folder / "base"), "max_length": 16}}
    (folder / "keep.yaml").write_text(json.dumps(settings))
    Tracking(Home(folder)).experiment("first")
    return Job(folder)


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a process of a life is started with; equal threads, since equality bit for bit is claimed at equal threads."""
    kept = {name: value for name, value in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "TUNEKEEPER_LEDGER_URL")}
    own = {"TUNEKEEPER_HOME": str(home), "TMPDIR": str(home / "tmp"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return {name: value for name, value in {**kept, **own, **more}.items() if value}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The Prefect server that Tunekeeper keeps, up for as long as the block lasts and for all who start a process in it."""
    from flows.local.server import prefect_server
    from tasks.common.home import Home, settle_environment

    home = Home(folder)
    settle_environment(home)
    with prefect_server(home) as url:
        yield url


def retrain(config: Path, home: Path, *overrides: str, **more: str) -> subprocess.Popen[str]:
    """Start `tunekeeper retrain` in a process of its own."""
    command = [sys.executable, "-m", "flows", "retrain", str(config), *overrides, "--json"]
    return start(command, home, **more)


def start(command: Sequence[str], home: Path, **more: str) -> subprocess.Popen[str]:
    """Start a process of a life, from the checkout's root."""
    where = {"cwd": ROOT, "env": environment(home, **more), "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **where)  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True)
class Left:
    """What a life left behind, as MLflow, the ledger, the disk and the process table tell it."""

    runs: int
    statuses: tuple[str, ...]
    versions: int
    models: int
    bases: int
    champion: str | None
    ledger_champion: str | None
    promotions: int
    decisions: int
    twice_logged: int
    weights: str | None
    processes: tuple[str, ...]
    files: tuple[str, ...]


def left(home: Path) -> Left:
    """Look everywhere."""
    import sqlite3

    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow puts there the address it was last told
    from tasks.common.home import Home
    from tasks.context import open_ledger
    from tasks.ledger.promotions import ledger_history, replayed_champion
    from tasks.tracking.client import BASES, Tracking
    from tasks.tracking.registry import Registry

    tracking, ledger = Tracking(Home(home)), open_ledger(Home(home))
    client = tracking.client
    found = {name: client.get_experiment_by_name(name) for name in (NAME, BASES)}
    runs, bases = ([] if one is None else list(client.search_runs([one.experiment_id])) for one in found.values())
    logged = [client.get_metric_history(run.info.run_id, name) for run in runs for name in run.data.metrics]
    with sqlite3.connect(home / "ledger.db") as ledgers:
        decisions = ledgers.execute("select count(*) from ledger_decisions").fetchone()[0]
    models = list(client.search_logged_models([found[NAME].experiment_id])) if found[NAME] else []
    return Left(
        runs=len(runs),
        statuses=tuple(run.info.status for run in (*runs, *bases) if run.info.status != "FINISHED"),
        versions=len(Registry(tracking, "champion").versions(NAME)),
        models=len(models),
        bases=len(bases),
        champion=Registry(tracking, "champion").champion(NAME),
        ledger_champion=replayed_champion(ledger, NAME),
        promotions=len(ledger_history(ledger, NAME)),
        decisions=int(decisions),
        twice_logged=sum(len(each) - len({metric.step for metric in each}) for each in logged),
        weights=next((run.data.tags.get("tunekeeper.weights_sha256") for run in runs), None),
        processes=processes(home),
        files=leftovers(home),
    )


def leftovers(home: Path) -> tuple[str, ...]:
    """Files and folders that were meant to be gone: working folders, half-written ones, temporary ones."""
    found = [path for path in home.rglob("*") if path.name.startswith((".", "tmp")) or path.name.endswith(".tmp")]
    inner = {path for path in found if any(parent in found for parent in path.parents)}
    empty = {home / "tmp"} if not any((home / "tmp").iterdir()) else set()
    return tuple(sorted(path.relative_to(home).as_posix() for path in set(found) - inner - empty))


def processes(home: Path) -> tuple[str, ...]:
    """Live processes of this home, by what their environment says; the kept Prefect server is none of them."""
    mark, kept = f"TUNEKEEPER_HOME={home}\0".encode(), _server(home)
    return tuple(
        _bytes(each / "cmdline").decode().replace("\0", " ")
        for each in Path("/proc").glob("[0-9]*")
        if each.name != kept and mark in _bytes(each / "environ")
    )


def servers(home: Path) -> int:
    """Live Prefect servers of this home, the kept one among them."""
    mark = f"TUNEKEEPER_HOME={home}\0".encode()
    live = [each for each in Path("/proc").glob("[0-9]*") if mark in _bytes(each / "environ")]
    return sum(b"flows.local.server" in _bytes(each / "cmdline") for each in live)


def _server(home: Path) -> str | None:
    try:
        return str(json.loads((home / "prefect" / "server.json").read_text())["pid"])
    except (OSError, ValueError):
        return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
