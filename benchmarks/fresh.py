"""What a stranger does: clone, `make test`, `make run` twice, new rows, `make run`, `mlflow models serve`. `python -m benchmarks.fresh`

In a clone of the last commit, in a folder that is removed afterwards, with an environment of its own; pip's cache is used if there is one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clients import body, free_port, server

ROOT = Path(__file__).resolve().parents[1]
NAME, CONFIG, EXAMPLE = "helpdesk", "configs/helpdesk.yaml", Path("examples/helpdesk")
MINUTES = 12.0  # of `make test`, the installation with it, at most
NEAR = 1e-3  # of the champion's own score, that an answer may be apart from it


@dataclass(frozen=True)
class Clone:
    """A checkout of its own, whose state lies where it does by default."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / ".tunekeeper"

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and all that was said, errors too."""
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout[-3000:], file=sys.stderr, flush=True)
        return done.returncode, done.stdout

    def make(self, target: str) -> tuple[int, str]:
        return self.run("make", f"PYTHON={Path(sys.base_prefix) / 'bin' / 'python3'}", target)

    def tool(self, name: str) -> str:
        return str(self.folder / ".venv" / "bin" / name)

    def kept(self) -> dict[str, Any]:
        """The champion, and the outcome of the last decision, if there was one."""
        from tasks.common.home import Home
        from tasks.context import open_ledger
        from tasks.ledger.decisions import decisions_of
        from tasks.tracking.client import Tracking
        from tasks.tracking.registry import Registry

        made = decisions_of(open_ledger(Home(self.home)), NAME)
        champion = Registry(Tracking(Home(self.home)), "champion").champion(NAME)
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow puts there the address it was told
        return {**(made[-1].payload if made else {}), "champion": champion, "decisions": len(made)}


def tested(clone: Clone) -> tuple[str, bool]:
    began = time.monotonic()
    code, said = clone.make("test")
    last = next((line for line in reversed(said.splitlines()) if " passed" in line), "no test passed")
    return last.strip("= "), code == 0 and time.monotonic() - began <= 60 * MINUTES


def first(clone: Clone) -> tuple[str, bool]:
    code, _ = clone.make("run")
    kept = clone.kept()
    return _verdict(kept), code == 0 and (kept["champion"], kept["decisions"]) == ("1", 1)


def again(clone: Clone) -> tuple[str, bool]:
    before = clone.kept()
    code, said = clone.make("run")
    line = next((line for line in said.splitlines() if "skipped" in line), "did not say skipped")
    return line.strip(" ╭╮─│"), code == 0 and "skipped" in said and clone.kept() == before


def challenged(clone: Clone) -> tuple[str, bool]:
    """As the README has it: the later months' rows go to the end of the source."""
    before = clone.kept()
    later = (clone.folder / EXAMPLE / "later.csv").read_text().partition("\n")[2]
    with (clone.folder / EXAMPLE / "tickets.csv").open("a", newline="") as file:
        file.write(later)
    code, _ = clone.make("run")
    kept = clone.kept()
    good = code == 0 and kept["snapshot"] != before["snapshot"] and kept["model"]["version"] == "2" and kept["decisions"] == 2
    return _verdict(kept), good and kept["champion"] == ("2" if kept["verdict"] == "PROMOTE" else "1")


def served(clone: Clone) -> tuple[str, bool]:
    """`mlflow models serve` answers a ticket; `tunekeeper score` says what the champion itself does."""
    with (clone.folder / EXAMPLE / "later.csv").open(newline="") as file:
        head, row = next(rows := csv.reader(file)), next(rows)
    ticket, answers = clone.folder / "ticket.csv", clone.folder / "answers.parquet"
    with ticket.open("w", newline="") as file:
        csv.writer(file).writerows([head, row])
    port = free_port()
    model = ["-m", f"models:/{NAME}@champion", "--env-manager", "local", "-p", str(port)]
    with server([clone.tool("mlflow"), "models", "serve", *model], port, "/invocations", "/ping", clone.home, clone.folder):
        theirs = _asked(port, row[head.index("text")])
    code, _ = clone.run(clone.tool("tunekeeper"), "score", CONFIG, "--input", str(ticket), "--output", str(answers), "--json")
    if code != 0:
        return f"tunekeeper score ended with {code}", False
    import pandas as pd

    own = pd.read_parquet(answers).iloc[0]
    same = theirs["label"] == own["prediction"] and abs(theirs["score"] - own["score"]) <= NEAR
    return f"`{theirs['label']}` {theirs['score']:.4f}; the champion itself: `{own['prediction']}` {own['score']:.4f}", bool(same)


def _asked(port: int, text: str) -> dict[str, Any]:
    data, kind = json.dumps(body("/invocations", text)).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data, kind), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)["predictions"][0]
    return found


def _verdict(kept: dict[str, Any]) -> str:
    if "verdict" not in kept:
        return "no decision"
    return f"snapshot {kept['snapshot'][:12]}, {kept['verdict']} version {kept['model']['version']}; champion: version {kept['champion']}"


STEPS = {
    f"`make test`, with the installation; at most {MINUTES:.0f} minutes": tested,
    "`make run`": first,
    "`make run` again": again,
    "three months of tickets appended, `make run`": challenged,
    f"`mlflow models serve -m models:/{NAME}@champion --env-manager local`, one request": served,
}


def section() -> str:
    """The proof as Markdown; a quarter of an hour on two cores, and a package index."""
    for name in [
        name for name in os.environ if name.startswith(("TUNEKEEPER_", "MLFLOW_", "PREFECT_", "PYTHONPATH", "VIRTUAL_ENV"))
    ]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="fresh-"))
    clone = Clone(folder / "tunekeeper")
    try:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone.folder)], check=True)
        commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=clone.folder, text=True).strip()
        lines = [_line(clone, what) for what in STEPS]
    finally:
        _end_server(clone.home)
        shutil.rmtree(folder, ignore_errors=True)
    return (
        f"## A fresh clone\n\n`git clone` of commit {commit} into an empty folder, and what the README says, with nothing but Python and make.\n\n"
        "| step | seen | took | |\n|---|---|--:|---|\n" + "\n".join(lines) + "\n"
    )


def _line(clone: Clone, what: str) -> str:
    began = time.monotonic()
    seen, good = STEPS[what](clone)
    return f"| {what} | {seen} | {time.monotonic() - began:.0f} s | {'holds' if good else 'DOES NOT HOLD'} |"


def _end_server(home: Path) -> None:
    """End the Prefect server that was kept for the next run."""
    with suppress(OSError, ValueError):
        os.kill(json.loads((home / "prefect" / "server.json").read_text())["pid"], signal.SIGTERM)


def main() -> None:
    """Print the section."""
    print(section())


if __name__ == "__main__":
    main()
