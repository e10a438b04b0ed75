"""kill -9 at the first and last of every kind of step boundary and at random moments, then run again: as if nothing had been.

Run: python -m benchmarks.kills [every so manieth boundary] [so many random moments]
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import life, small
from benchmarks.small import Job, Left

SEED, RANDOM_KILLS = 20240601, 20
TRAINING_AGAIN = 30.0  # seconds from the rerun's start to its first optimizer step, or to a finished training found
HEAVY = [
    "torch", "transformers.trainer", "peft", "pandas", "great_expectations", "mlflow.pyfunc", "datasets", "flows.retrain",
    "tasks.learning.objectives.run", "tasks.learning.scoring", "expectations.run",
]  # fmt: skip


@dataclass(frozen=True)
class Life:
    """One life: where it was killed, what its rerun left, and after how many seconds the rerun was training."""

    where: str
    code: int | None
    left: Left
    again: float

    def faults(self, whole: Left) -> list[str]:
        """What differs from a life that was never killed."""
        now, then = vars(self.left), vars(replace(whole, models=self.left.models))
        found = [f"{name} {now[name]!r} instead of {then[name]!r}" for name in now if now[name] != then[name]]
        found += [] if self.code == 0 else [f"the rerun ended with {self.code}"]
        return found + ([] if self.again <= TRAINING_AGAIN else [f"training again after {self.again:.0f} s"])


def boundaries(job: Job, context: Any, names: Sequence[str], stride: int) -> list[Life]:
    """Killed at the first and at the last occurrence of every moment; children of one process that has imported everything."""
    places = sorted({place for name in set(names) for place in (names.index(name), len(names) - 1 - names[::-1].index(name))})
    lives = []
    for place in places[::stride]:
        home = job.home(f"boundary-{place}")
        if _forked(context, job, home, place + 1) != -signal.SIGKILL:
            continue  # this run had fewer moments than the recorded one, for some are a matter of time: it ended before this one
        began = time.time()
        code = _forked(context, job, home, None)
        lives.append(_told(Life(names[place], code, small.left(home), _again(home, began))))
    return lives


def random_moments(job: Job, count: int, seconds: float) -> list[Life]:
    """Killed from outside, in processes that start from nothing."""
    chance, lives = random.Random(SEED), []
    for number in range(count):
        home, after = job.home(f"random-{number}"), chance.uniform(0.5, seconds)
        process = _fresh(job, home)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        began = time.time()
        again = _fresh(job, home)
        again.communicate()
        lives.append(_told(Life(f"{after:.1f} s", again.returncode, small.left(home), _again(home, began))))
    return lives


def terminated(job: Job) -> tuple[Life, str]:
    """SIGTERM in the middle of training: a checkpoint, a clean state, and the rerun goes on from there."""
    home = job.home("terminated")
    process = _fresh(job, home)
    while not any(what == "step 11" for _, what, _ in _notes(home)) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate()
    between = small.left(home)
    kept = sorted(path.name for path in (home / "runs").glob("*/checkpoint-*"))
    stopped = process.returncode == 1 and between.statuses == ("KILLED",) and kept and not between.processes + between.files
    began = time.time()
    again = _fresh(job, home)
    _, told = again.communicate()
    on = next((line.strip(" !") for line in told.splitlines() if "going on" in line), "did not go on from a checkpoint")
    last = said.strip().splitlines()[-1] if said.strip() else ""
    words = f"ended with {process.returncode}, run {'/'.join(between.statuses)}, `{last}`; the rerun: {on}; {_holds(bool(stopped))}"
    return Life("SIGTERM", again.returncode, small.left(home), _again(home, began)), words


def own_server(job: Job) -> str:
    """Killed while it starts a Prefect server and an MLflow database of its own, and again, then run to the end: all is whole."""
    home, chance = job.home("own"), random.Random(SEED)
    (home / "mlflow.db").unlink()
    alone = {"PREFECT_API_URL": "", "PREFECT_HOME": str(home / "prefect"), "TUNEKEEPER_SERVER_IDLE_SECONDS": "20"}
    for _ in range(6):
        process = small.retrain(job.config, home, **alone)
        time.sleep(chance.uniform(1.0, 6.0))
        process.kill()
        process.communicate()
    last = small.retrain(job.config, home, **alone)
    last.communicate()
    servers, others = small.servers(home), small.processes(home)
    deadline = time.monotonic() + 60
    while small.servers(home) and time.monotonic() < deadline:
        time.sleep(1)
    amiss = [*(f"alive: {other}" for other in others), *([f"the run ended with {last.returncode}"] if last.returncode else [])]
    good = servers == 1 and small.servers(home) == 0 and not amiss
    seen = [f"{servers} server up after 6 kills and a whole run, {small.servers(home)} a minute later", *amiss]
    return "; ".join([*seen, _holds(good)])


def _forked(context: Any, job: Job, home: Path, last: int | None) -> int | None:
    notes = home / "notes"
    notes.unlink(missing_ok=True)
    process = context.Process(target=life.forked, args=(small.environment(home), str(job.config), str(notes), last))
    process.start()
    process.join()
    return int(process.exitcode)


def _fresh(job: Job, home: Path) -> subprocess.Popen[str]:
    (home / "notes").unlink(missing_ok=True)
    return small.start([sys.executable, "-m", "benchmarks.life", str(job.config), str(home / "notes")], home)


def _notes(home: Path) -> list[tuple[str, str, float]]:
    """(kind, what, when) as far as they are written."""
    try:
        text = (home / "notes").read_text()
    except FileNotFoundError:
        return []
    return [tuple(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]  # type: ignore[misc]


def _again(home: Path, began: float) -> float:
    """Seconds until a rerun trained, or had found that nothing was left to train."""
    notes = _notes(home)
    return next((when for kind, _, when in notes if kind == "training"), notes[-1][2]) - began


def _told(one: Life) -> Life:
    print(f"  killed at {one.where}: {one.left}", file=sys.stderr, flush=True)
    return one


def _holds(good: bool) -> str:
    return "holds" if good else "DOES NOT HOLD"


def _rows(what: str, lives: Sequence[Life], whole: Left) -> list[str]:
    """One line for all, one for each that is not as it should be."""
    bad = {one.where: one.faults(whole) for one in lives if one.faults(whole)}
    again, twice = [one.again for one in lives], sum(one.left.models > 1 for one in lives)
    seconds = f"{statistics.median(again):.1f} s, at most {max(again):.1f} s"
    line = f"| {what} | {len(lives)} | {len(lives) - len(bad)} | {seconds} | {twice} | {_holds(not bad)} |"
    return [line, *(f"| {where} | | {'; '.join(found)} | | | |" for where, found in bad.items())]


def section(stride: int = 1, count: int = RANDOM_KILLS) -> str:
    """The proof as a Markdown section; some twenty minutes on two cores."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    job = small.make_job(folder)
    with small.server(folder):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(HEAVY)
        home = job.home("whole")
        began = time.monotonic()
        _fresh(job, home).communicate()
        seconds, whole = time.monotonic() - began, small.left(home)
        names = [what for kind, what, _ in _notes(home) if kind == "moment"]
        _forked(context, job, job.home("forked"), None)
        forks = small.left(folder / "forked")
        lives = boundaries(job, context, names, stride)
        lines = _rows(f"at a step boundary, {len(lives)} of {len(names)}", lives, whole)
        lines += _rows("at a random moment", random_moments(job, count, seconds), whole)
        ended, said = terminated(job)
        lines += _rows("SIGTERM while training", [ended], whole)
    with_server = own_server(job)
    shutil.rmtree(folder)
    same = _holds(forks == whole and whole.weights is not None)
    return (
        f"## Kills\n\nA LoRA of a random BERT, {len(names)} step boundaries in a run of {seconds:.0f} s (before and after each call of "
        f"the flow, and at some optimizer steps), of {len(set(names))} kinds; kill -9 at the first and at the last of each kind, then the "
        "same command again. As it should be: the weights, bit for bit; one MLflow run of the train-key, finished; one version; the alias and the ledger's "
        "replay on it; one promotion and one decision; no step of any metric twice; no process and no unfinished file left. "
        f"Seed {SEED}. Two undisturbed runs are equal: {same}.\n\n"
        "| killed | lives | as it should be | training again after | stored twice | |\n|---|--:|--:|---|--:|---|\n"
        + "\n".join(lines)
        + f"\n\nSIGTERM: {said}.\n\nKilled while starting its own Prefect server: {with_server}.\n\n"
        "Training again: seconds from the rerun's start to its first optimizer step, or to a finished training found; at the boundaries "
        "in a process that has imported everything, at random moments in one that starts from nothing. Stored twice: lives that left "
        "a second, unregistered copy of the model in MLflow.\n"
    )


def main() -> None:
    """Print the section."""
    print(section(*(int(word) for word in sys.argv[1:])))


if __name__ == "__main__":
    main()
