"""Twenty triggers of one pipeline at once: one training run, nineteen that wait and then find it.

Run: python -m benchmarks.triggers
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import small

MANY = 20
WAITS = "waiting for it to end"


def at_once(job: small.Job, number: int) -> tuple[str, bool]:
    """So many processes in the same moment: a line of what came of them, and whether it is as it should be."""
    home = job.home(f"at-once-{number}")
    began = time.monotonic()
    processes = [small.retrain(job.config, home) for _ in range(number)]
    ends = _ended(processes)
    seconds, left = time.monotonic() - began, small.left(home)
    outcomes = [json.loads(said) for code, said, _ in ends if code == 0]
    trained = sum(not outcome["skipped"] for outcome in outcomes)
    waited = sum(WAITS in told for _, _, told in ends)
    same = len({(outcome["train_key"], outcome["decision_key"], outcome["model"]["version"]) for outcome in outcomes}) == 1
    good = len(outcomes) == number and trained == 1 and waited == number - 1 and same
    good = good and (left.runs, left.versions, left.promotions, left.decisions, left.processes, left.files) == (1, 1, 1, 1, (), ())
    line = (
        f"| {number} | {len(outcomes)} | {trained} | {waited} | {number - trained} | {left.runs} | {left.versions} "
        f"| {left.promotions} | {left.decisions} | {seconds:.0f} s | {'holds' if good else 'DOES NOT HOLD'} |"
    )
    return line, good


def _ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """(exit code, standard output, standard error) of each; what they say fits into a pipe's buffer until it is read."""
    ends: list[tuple[int, str, str]] = []
    for process in processes:
        said: Any = process.communicate()
        ends.append((process.returncode, *said))
    return ends


def section() -> str:
    """The proof as a Markdown section; some two minutes on two cores."""
    folder = Path(tempfile.mkdtemp(prefix="triggers-"))
    job = small.make_job(folder)
    with small.server(folder):
        lines = [at_once(job, number)[0] for number in (2, MANY)]
    shutil.rmtree(folder)
    return (
        "## Triggers\n\n`tunekeeper retrain` of one pipeline, started so many times in the same moment, each a process of its own.\n\n"
        "| at once | exit 0 | trained | told to wait | skipped | runs | versions | promotions | decisions | all ended | |\n"
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    """Print the section."""
    print(section())


if __name__ == "__main__":
    main()
